# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster that somebody else started: its workers stand elsewhere, and it may go away."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import rspipe
from rspipe.curate import cluster as cluster_module
from rspipe.curate.cluster import Lookout
from rspipe.curate.config import CurateHow
from rspipe.curate.runner import curate
from rspipe.errors import StageFailed
from tests.curation import digests


class Cluster:
    """A scheduler and a worker, each a process, in a folder of their own."""

    def __init__(self, folder):
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._processes = []

    def start(self, workers=1):
        self._folder.mkdir(exist_ok=True)
        self.scheduler = self._run("scheduler", "--host", "127.0.0.1", "--port", "0")
        deadline = time.monotonic() + 60
        while not self._file.exists():
            assert self.scheduler.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(workers):
            self._run("worker", "--nthreads", "1", "--memory-limit", "2GiB")
        return json.loads(self._file.read_text())["address"]

    def _run(self, part, *args):
        command = [sys.executable, "-m", "dask", part, "--scheduler-file", str(self._file)]
        log = (self._folder / "log.txt").open("a")
        process = subprocess.Popen(
            [*command, "--no-dashboard", *args],
            cwd=self._folder,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(Path(rspipe.__file__).parents[1])},
        )
        self._processes.append(process)
        return process

    def stop(self):
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(timeout=30)
        self._processes.clear()
        self._file.unlink(missing_ok=True)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path / "elsewhere")
    yield cluster
    cluster.stop()


def test_a_remote_cluster_gives_the_same_bytes_its_report_and_is_asked_for_its_version(
    cluster, tiny, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    address = cluster.start()
    recipe = replace(tiny, folder=tmp_path / "c").recipe(
        f"how.scheduler={address}", "how.performance_report=true", "stages=c/stages", "out=c/corpus"
    )
    curate(recipe)
    assert digests(replace(tiny, folder=tmp_path / "c")) == digests(tiny)
    report = (tmp_path / "c/stages/performance.html").read_text()
    assert "<html" in report
    assert "slice" in report
    monkeypatch.setattr(rspipe, "__version__", "0.0")
    other = replace(tiny, folder=tmp_path / "d").recipe(f"how.scheduler={address}")
    with pytest.raises(StageFailed, match="install the same everywhere"):
        curate(other)


def test_a_cluster_that_goes_away_is_named_and_another_one_goes_on(cluster, tiny, tmp_path):
    address = cluster.start()
    disturbed = replace(tiny, folder=tmp_path / "c")
    recipe = disturbed.recipe(f"how.scheduler={address}")

    def strike():
        while not list(disturbed.stages.glob("slice-*/part-*.parquet")):
            time.sleep(0.01)
        cluster.scheduler.kill()

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()
    with pytest.raises(StageFailed, match="cluster has gone"):
        curate(recipe)
    thread.join()
    cluster.stop()
    curate(disturbed.recipe(f"how.scheduler={cluster.start()}"))
    assert digests(disturbed) == digests(tiny)


def test_a_scheduler_without_workers_is_waited_for_no_longer_than_the_recipe_says(
    cluster, tiny, tmp_path
):
    overrides = f"how.scheduler={cluster.start(workers=0)}", "how.worker_timeout_s=1"
    recipe = replace(tiny, folder=tmp_path / "c").recipe(*overrides)
    said = (
        r"ingest: for 1 s \(how.worker_timeout_s\) no Dask worker .*`dask worker tcp://.*run again"
    )
    with pytest.raises(StageFailed, match=said):
        curate(recipe)


class FakeClient:
    """A client of a scheduler that says what a test wants of its workers."""

    status = "running"
    scheduler = SimpleNamespace(identity=None)

    def __init__(self, *workers, fails=False):
        self.workers, self.fails = workers, fails

    def sync(self, _function, **_limits):
        if self.fails:
            raise TimeoutError
        return {"workers": dict(enumerate(self.workers))}


def worker(status, executing=0):
    return {"status": status, "metrics": {"task_counts": {"executing": executing}}}


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(s=0.0)
    monkeypatch.setattr(
        cluster_module, "time", SimpleNamespace(monotonic=lambda: clock.s, sleep=time.sleep)
    )
    return clock


def look_for(seconds, lookout, clock):
    """Look again and again; returns what was said."""
    said, end = [], clock.s + seconds
    while clock.s < end:
        clock.s += 1
        lookout.look(said.append)
    return said


@pytest.mark.parametrize(
    ("client", "lack"),
    [
        (FakeClient(), "no Dask worker was there"),
        (FakeClient(worker("paused"), worker("paused")), "none of 2 Dask workers took work"),
        (FakeClient(fails=True), "the Dask scheduler did not answer"),
    ],
)
def test_a_lack_of_workers_is_said_and_then_ends_the_stage(client, lack, clock):
    lookout = Lookout(client, CurateHow(worker_timeout_s=60), "slice")
    (said,) = look_for(50, lookout, clock)
    assert lack in said
    with pytest.raises(StageFailed, match=f"slice: for 60 s .*{lack}"):
        look_for(20, lookout, clock)


@pytest.mark.parametrize("use", [worker("running"), worker("paused", executing=1)])
def test_a_worker_that_takes_work_or_is_busy_is_waited_for_however_long(use, clock):
    client = FakeClient(use, worker("paused"))
    lookout = Lookout(client, CurateHow(worker_timeout_s=60), "slice")
    assert look_for(600, lookout, clock) == []
    assert lookout.workers == 1


def test_a_worker_that_comes_back_in_time_starts_the_wait_anew(clock):
    client = FakeClient()
    lookout = Lookout(client, CurateHow(worker_timeout_s=60), "slice")
    for _ in range(3):
        client.workers = ()
        assert len(look_for(50, lookout, clock)) == 1
        client.workers = (worker("running"),)
        assert look_for(20, lookout, clock) == []


def test_a_driver_that_looked_away_for_long_gives_workers_their_time(clock):
    client = FakeClient(worker("running"))
    lookout = Lookout(client, CurateHow(worker_timeout_s=60), "slice")
    lookout.look(print)
    client.workers = ()
    clock.s += 1000
    lookout.look(print)
    assert lookout.workers == 0


def test_a_wrong_address_is_named(tiny, tmp_path):
    recipe = replace(tiny, folder=tmp_path / "c").recipe("how.scheduler=tcp://127.0.0.1:9")
    with pytest.raises(StageFailed, match="no Dask scheduler answers"):
        curate(recipe)
