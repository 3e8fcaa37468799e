# SPDX-License-Identifier: Apache-2.0
"""A bar on a terminal; in a file a line after ten seconds and then every thirty, no more."""

import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rspipe import progress
from rspipe.progress import tally, track


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(s=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.s))
    return clock


def test_long_work_writes_whole_lines_at_ten_seconds_and_every_thirty_from_there(capsys, clock):
    for step in track(range(100), "slice", unit="partition"):
        clock.s = float(step)
    lines = capsys.readouterr().err.splitlines(keepends=True)
    # A line tells what is done: at 10 s ten steps are.
    assert [int(re.search(r"slice: (\d+) of 100", line)[1]) for line in lines] == [11, 41, 71]
    assert all(line.endswith("\n") and "\r" not in line for line in lines)
    assert all(
        "left, " in line and "partition/s" in line.replace("s/partition", "partition/s")
        for line in lines
    )


@pytest.mark.parametrize("leave", [True, False])
def test_short_work_writes_nothing(capsys, clock, leave):
    with tally("fit", 50, leave=leave) as bar:
        for _ in range(50):
            bar.set_postfix({"loss": 1})
            bar.refresh()
            bar.update()
    assert capsys.readouterr().err == ""


def test_what_is_said_meanwhile_brings_no_other_line(capsys, clock):
    with tally("ingest", 50) as bar:
        clock.s = 11
        bar.update()
        for _ in range(5):
            bar.write("a worker died", file=sys.stderr)
    said = capsys.readouterr().err.splitlines()
    assert [line[:6] for line in said] == ["ingest", *["a work"] * 5]


def test_an_unknown_total_and_a_silent_process_are_no_trouble(capsys, clock):
    with tally("files") as bar, tally("rank 1", 5, disable=True) as silent:
        clock.s = 20
        silent.update()
        bar.update(7)
    assert re.fullmatch(r"files: 7, \S+ gone, .*\n", capsys.readouterr().err)


def test_a_terminal_has_a_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    assert list(track([1, 2], "slice")) == [1, 2]
    assert "slice: 100%|" in screen.getvalue()


def test_no_other_file_draws_a_bar():
    drawn = [
        path
        for folder in ("rspipe", "pipelines")
        for path in Path(folder).rglob("*.py")
        if re.search(r"\btqdm\(", path.read_text())
    ]
    assert drawn == []
