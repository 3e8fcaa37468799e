# SPDX-License-Identifier: Apache-2.0
"""Whatever lies in the folder, the run ends, every file has a fate, and nothing gets out."""

import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from rspipe.corpus.reader import Corpus
from rspipe.corpus.verify import verify
from tests.curate import hostile

MOST_RSS = 2 * 2**30
RECIPE = """
name: hostile
data: {root}/data
out: {root}/corpus
stages: {root}/stages
what:
  slice: {{tile_px: 1024, stride_px: 1024, larger_than_px: 1024}}
how: {{workers: 2, dashboard: false}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Curate everything hostile in processes of their own; watch memory and the file system."""
    root = tmp_path_factory.mktemp("hostile")
    expected = hostile.write(root / "data")
    before = _listing(root)
    (root / "curate.yaml").write_text(RECIPE.format(root=root))
    command = [sys.executable, "-m", "rspipe.cli", "curate", str(root / "curate.yaml")]
    with (root / "log.txt").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        most = 0
        while child.poll() is None:
            most = max(most, _largest_rss(child.pid))
            time.sleep(0.1)
    assert child.returncode == 0, (root / "log.txt").read_text()[-4000:]
    rows = Corpus.open(root / "corpus").ledger().to_pylist()
    return {
        **{"root": root, "expected": expected, "rows": rows, "rss": most},
        "new": _listing(root) - before,
    }


def _listing(root):
    return {p.relative_to(root).parts[0] for p in root.rglob("*")} | {
        p.name for p in (root.parent, root.parent.parent) for p in p.glob("*escaped*")
    }


def _largest_rss(pid):
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return max(p.memory_info().rss for p in family)
    except psutil.Error:
        return 0


def fates(run):
    """{dataset/path: drop reason of the file, else of its tiles, else kept}."""
    found = {}
    for row in sorted(run["rows"], key=lambda row: row["level"] == "tile"):
        name = f"{row['dataset']}/{row['source_path']}"
        if row["level"] == "file" or found.get(name) in {None, "kept"}:
            found[name] = row["drop_reason"] or "kept"
    return found


def test_there_are_more_than_200_malformed_inputs(run):
    assert sum(fate != hostile.KEPT for fate in run["expected"].values()) > 200


def test_every_file_is_in_the_ledger_once(run):
    files = Counter(
        f"{r['dataset']}/{r['source_path']}" for r in run["rows"] if r["level"] == "file"
    )
    assert set(run["expected"]) <= set(files)
    twice = {name for name, count in files.items() if count > 1}
    assert twice <= {"archives/double.zip/a.png"}


def test_every_file_has_the_fate_that_it_must_have(run):
    found = fates(run)
    wrong = {
        name: (fate, found[name])
        for name, fate in run["expected"].items()
        if fate not in {hostile.ANY, found[name]}
    }
    assert wrong == {}


def test_every_drop_says_why(run):
    for row in run["rows"]:
        if row["drop_stage"] is not None:
            assert row["drop_reason"], row
            assert row["drop_detail"], row
            assert str(run["root"]) not in row["drop_detail"]


def test_what_was_kept_is_sound(run):
    assert verify(run["root"] / "corpus") > 0


def test_nothing_is_written_outside_the_output_folders(run):
    assert run["new"] == {"corpus", "stages", "curate.yaml", "log.txt"}


def test_memory_stays_bounded(run):
    assert 0 < run["rss"] < MOST_RSS
