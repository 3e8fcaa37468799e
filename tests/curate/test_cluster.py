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

import pytest

import rspipe
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


def test_a_wrong_address_is_named(tiny, tmp_path):
    recipe = replace(tiny, folder=tmp_path / "c").recipe("how.scheduler=tcp://127.0.0.1:9")
    with pytest.raises(StageFailed, match="no Dask scheduler answers"):
        curate(recipe)
