# SPDX-License-Identifier: Apache-2.0
"""Floors, groups and published figures beside the scores."""

from rspipe.report.comparisons import NO_REASON, groups_of, printed_of


def row(encoder, **more):
    said = {"benchmark": "masks", "protocol": "upernet", "metric": "mIoU", "value": 0.5}
    return {**said, "encoder": encoder, **more}


def test_groups_put_encoders_side_by_side():
    lines = {
        name: row(name, extra={"groups": {"Urban": {"n": 7, "mIoU": value}}})
        for name, value in (("a", 0.3), ("b", None))
    }
    (group,) = groups_of([lines])
    assert (group.name, group.n, group.values) == ("Urban", 7, {"a": 0.3, "b": None})


def test_published_figures_meet_scores_of_their_metric_alone():
    said = {"benchmark": "masks", "model": "m", "value": 0.6, "source": "s"}
    published = [
        {**said, "metric": "mIoU", "note": "hidden split"},
        {**said, "metric": "mF1"},
        {**said, "metric": "OA"},
        {**said, "metric": "mIoU", "benchmark": "elsewhere"},
    ]
    done = [row("a", extra={"mF1": {"value": 0.55}})]
    headline, further, unknown, other = printed_of({"published": published}, done)
    assert headline.ours == (("upernet", "a", 0.5),)
    assert headline.reason == "hidden split"
    assert further.ours == (("upernet", "a", 0.55),)
    assert further.reason == NO_REASON
    assert unknown.ours == other.ours == ()


def test_a_published_figure_is_drawn_only_on_the_axis_of_its_own_metric():
    said = {"benchmark": "masks", "model": "m", "value": 0.6, "source": "s"}
    published = [{**said, "metric": "mIoU"}, {**said, "metric": "mF1"}]
    headline, further = printed_of({"published": published}, [row("a")])
    assert (headline.is_headline, further.is_headline) == (True, False)
