# SPDX-License-Identifier: Apache-2.0
"""Definitions of metrics, said once."""

from rspipe.report.conventions import conventions_of


def test_every_clause_is_said_once_for_all_or_by_its_own_number():
    footnotes = [
        ("OA", "OA: overall accuracy; bootstrap; kNN"),
        ("mIoU", "mean IoU; bootstrap"),
        ("OA", "OA: overall accuracy; bootstrap; logistic; mean of 3 seeds"),
    ]
    oa, miou = conventions_of(footnotes)
    assert (oa.metric, oa.shared) == ("OA", "overall accuracy; bootstrap")
    assert oa.notes == ((1, "kNN"), (3, "logistic; mean of 3 seeds"))
    assert (miou.shared, miou.notes) == ("mean IoU; bootstrap", ((2, ""),))
    for number, (metric, text) in enumerate(footnotes, start=1):
        said = next(c for c in (oa, miou) if c.metric == metric)
        own = dict(said.notes)[number]
        assert sorted(text.removeprefix(f"{metric}: ").split("; ")) == sorted(
            [*said.shared.split("; "), *filter(None, own.split("; "))]
        )
