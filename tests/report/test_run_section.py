# SPDX-License-Identifier: Apache-2.0
"""Runs, finished or not."""

import re

import pytest

from rspipe.io.tables import write_json
from rspipe.report.run_section import Run, describe_run


def test_a_line_cut_off_by_a_kill_is_left_out(folders):
    metrics = folders.run / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + '{"step": 40, "lo')
    assert [line["step"] for line in Run.read(folders.run).metrics] == [10, 20, 30]


def test_a_folder_without_a_run_is_no_run(tmp_path):
    assert Run.read(tmp_path) is None


def test_an_unfinished_run_is_drawn_and_said_to_be_unfinished(folders):
    (folders.run / "manifest.json").unlink()
    section = describe_run(Run.read(folders.run), ())
    assert not section.is_complete
    assert section.loss
    assert dict(section.facts)["Steps"] == "30 of 30"


def test_a_run_without_metrics_has_no_chart(folders):
    (folders.run / "metrics.jsonl").unlink()
    assert describe_run(Run.read(folders.run), ()).loss == ""


def test_one_line_of_metrics_is_no_curve(folders):
    metrics = folders.run / "metrics.jsonl"
    metrics.write_text(metrics.read_text().splitlines(keepends=True)[0])
    section = describe_run(Run.read(folders.run), ())
    assert (section.loss, section.lesser) == ("", ())


@pytest.mark.parametrize(
    ("peak", "said"), [(12e9, "50 %"), (5e9, "unknown: the peak was measured under load")]
)
def test_a_share_of_the_peak_above_one_is_not_printed(folders, peak, said):
    made = {"images_per_s": 100, "macs_per_image": 1e7, "devices": 1, "peak_flops_per_s": peak}
    write_json(made, folders.run / "manifest.json")
    assert dict(describe_run(Run.read(folders.run), ()).facts)["Share of peak (MFU)"] == said


def test_first_and_last_reconstructions_are_shown(folders):
    section = describe_run(Run.read(folders.run), ())
    assert [picture.step for picture in section.pictures] == ["10", "30"]
    (folders.run / "pictures/step-000010.png").unlink()
    (folders.run / "pictures/step-000020.png").unlink()
    assert [p.step for p in describe_run(Run.read(folders.run), ()).pictures] == ["30"]


def test_compared_runs_share_the_figure(folders):
    run = Run.read(folders.run)
    section = describe_run(run, [run, run])
    assert len(re.findall("<polyline", section.loss)) == 6
    assert not section.has_other_objectives
