# SPDX-License-Identifier: Apache-2.0
"""Whatever dies, fills up or vanishes on the way: the same bytes in the end, or a named reason."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rspipe.corpus.reader import Corpus
from rspipe.corpus.verify import verify
from rspipe.curate import pack as pack_stage
from rspipe.curate.lock import locked
from rspipe.curate.runner import curate
from rspipe.errors import StageFailed
from tests.curation import digests

FAULTS = Path(__file__).parent / "faults"


@pytest.fixture
def disturbed(tiny, tmp_path):
    return replace(tiny, folder=tmp_path / "c")


def workers_of(driver):
    """The Dask workers among the children of a process."""
    return [
        child
        for child in psutil.Process(driver.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


def parts(curation, stage):
    return len(list(curation.stages.glob(f"{stage}-*/part-*.parquet")))


def test_a_killed_worker_costs_nothing_but_time(tiny, disturbed):
    driver = disturbed.start()
    disturbed.wait_for(driver, lambda: parts(disturbed, "slice") >= 1)
    (worker,) = workers_of(driver)
    worker.kill()
    assert driver.wait(timeout=120) == 0, disturbed.log
    assert digests(disturbed) == digests(tiny)


def test_workers_that_die_without_successors_are_waited_for_no_longer_than_the_recipe_says(
    tiny, disturbed, tmp_path
):
    barren = tmp_path / "barren"
    fault = {"FAULT": f"barren:{barren}", "PYTHONPATH": str(FAULTS)}
    driver = replace(disturbed, env=fault).start(overrides=["how.worker_timeout_s=2"])
    disturbed.wait_for(driver, lambda: parts(disturbed, "ingest") >= 2)
    barren.touch()
    (worker,) = workers_of(driver)
    worker.kill()
    assert driver.wait(timeout=60) == 4, disturbed.log
    (said,) = [line for line in disturbed.log.splitlines() if line.startswith("error: ")]
    assert "ingest: for 2 s (how.worker_timeout_s) no Dask worker was there" in said
    assert "run again" in said
    assert parts(disturbed, "ingest") >= 2
    barren.unlink()
    disturbed.run()
    assert digests(disturbed) == digests(tiny)


def test_a_file_that_kills_its_worker_becomes_a_row_and_takes_no_other_with_it(
    tiny, disturbed, tiny_native
):
    deadly = sorted(path.name for path in (tiny_native / "chips").iterdir())[9]
    log = replace(disturbed, env={"FAULT": f"kill:{deadly}", "PYTHONPATH": str(FAULTS)}).run()
    rows = Corpus.open(disturbed.corpus).ledger().to_pylist()
    (row,) = [row for row in rows if row["source_path"] == deadly]
    assert (row["level"], row["drop_stage"], row["drop_reason"]) == ("file", "ingest", "unreadable")
    assert "SIGKILL" in row["drop_detail"]
    others = [row for row in rows if row["source_path"] != deadly]
    expected = Corpus.open(tiny.corpus).ledger().to_pylist()
    assert others == [row for row in expected if row["source_path"] != deadly]
    assert "narrowed down" in log


def test_workers_end_with_a_killed_driver_and_the_next_run_goes_on(tiny, disturbed):
    driver = disturbed.start()
    disturbed.wait_for(driver, lambda: parts(disturbed, "slice") >= 1)
    children = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait(timeout=30)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    disturbed.run()
    assert digests(disturbed) == digests(tiny)


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tiny, disturbed):
    """No file may grow beyond 8 kB: the kernel refuses as it does when a disk is full."""
    limit = 8_000
    driver = disturbed.start(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert driver.wait(timeout=120) == 4
    (said,) = [line for line in disturbed.log.splitlines() if line.startswith("error: ")]
    assert "no space left in" in said
    assert str(disturbed.stages) in said
    assert "needs about" in said
    assert not list(disturbed.folder.rglob("*.partial"))
    assert all(path.stat().st_size <= limit for path in disturbed.stages.rglob("*.parquet"))
    disturbed.run()
    assert digests(disturbed) == digests(tiny)


def test_a_file_that_vanishes_before_it_is_packed_is_a_row_until_it_comes_back(
    tiny, disturbed, tiny_native, tmp_path, monkeypatch
):
    data = tmp_path / "native"
    shutil.copytree(tiny_native, data)
    recipe = replace(disturbed, data=data).recipe()
    names = sorted(path.name for path in (data / "chips").iterdir())
    gone, changed = data / "chips" / names[3], data / "chips" / names[12]
    plan = pack_stage.plan_shards

    def disturb(partitions, shard_bytes):
        gone.rename(tmp_path / gone.name)
        changed.write_bytes((data / "chips" / names[13]).read_bytes())
        return plan(partitions, shard_bytes)

    monkeypatch.setattr(pack_stage, "plan_shards", disturb)
    curate(recipe)
    ledger = Corpus.open(disturbed.corpus).ledger().to_pylist()
    lost = {
        (row["source_path"], row["drop_reason"]) for row in ledger if row["drop_stage"] == "pack"
    }
    assert lost == {(gone.name, "vanished"), (changed.name, "changed")}
    assert verify(disturbed.corpus) == len(Corpus.open(tiny.corpus)) - 2
    step = Corpus.open(disturbed.corpus).manifest["funnel"][-1]
    assert step["dropped"] == {"changed": 1, "vanished": 1}
    assert step["rows_in"] == step["kept"] + 2

    # As it was, with its time of change: nothing tells this listing from the first one.
    for path in (gone, changed):
        shutil.copy2(tiny_native / "chips" / path.name, path)
    monkeypatch.setattr(pack_stage, "plan_shards", plan)
    curate(recipe)
    assert digests(disturbed) == digests(tiny)


DAMAGE = {
    "listing": lambda path: path.unlink(),
    "ingest": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "exclude": lambda path: path.write_bytes(b""),
    "slice": lambda path: flip(path, 4000),
    "screen": lambda path: path.unlink(),
    "dedup": lambda path: path.write_bytes(b"PAR1" * 99),
    "leakage": lambda path: flip(path, 200),
}


def flip(path, at):
    """Change one byte in the middle of a table, where no footer notices."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_tables_damaged_between_runs_are_made_anew(tiny, disturbed):
    shutil.copytree(tiny.stages, disturbed.stages)
    for index, (stage, damage) in enumerate(DAMAGE.items()):
        damage(sorted(disturbed.stages.glob(f"{stage}-*/part-*.parquet"))[index % 3])
    curate(disturbed.recipe())
    assert digests(disturbed) == digests(tiny)


def test_two_runs_do_not_share_a_stages_folder(disturbed):
    with locked(disturbed.stages), pytest.raises(StageFailed, match=f"pid.*{os.getpid()}"):
        curate(disturbed.recipe())
    with locked(disturbed.stages):
        pass


def test_a_lock_dies_with_its_holder(disturbed):
    code = (
        "import pathlib, sys, time; from rspipe.curate.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(disturbed.stages)], stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(StageFailed), locked(disturbed.stages):
        pass
    holder.kill()
    holder.wait()
    with locked(disturbed.stages):
        pass
