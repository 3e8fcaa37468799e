"""A small world of native data sets, and a way to curate it as the command line does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

RECIPE = """
name: t
data: {data}
out: {out}
work: {work}
what:
  slice: {{tile_px: 64, stride_px: 64, larger_than_px: 128, max_nodata_fraction: 0.25,
           max_flatness: 0.95}}
how: {{workers: {workers}, dashboard: false}}
"""


@dataclass(frozen=True)
class Curation:
    """One recipe in a folder of its own."""

    folder: Path
    data: Path
    workers: int = 2

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def start(self) -> subprocess.Popen:
        self.folder.mkdir(exist_ok=True)
        recipe = self.folder / "curate.yaml"
        recipe.write_text(
            RECIPE.format(data=self.data, out=self.corpus, work=self.work, workers=self.workers)
        )
        command = [sys.executable, "-m", "rspipe.cli", "curate", str(recipe)]
        log = (self.folder / "log.txt").open("a")
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def run(self) -> str:
        code = self.start().wait(timeout=300)
        log = (self.folder / "log.txt").read_text()
        assert code == 0, log
        return log

    def kill_when(self, ready) -> None:
        """Start, and kill the whole process group as soon as `ready(self)` holds."""
        child = self.start()
        deadline = time.monotonic() + 120
        while not ready(self):
            assert child.poll() is None, (self.folder / "log.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(timeout=30)


@pytest.fixture(scope="session")
def small_native(demo_native, tmp_path_factory) -> Path:
    """The chips with their planted faults, three scenes and the benchmarks' test splits."""
    folder = tmp_path_factory.mktemp("small") / "native"
    folder.mkdir()
    shutil.copytree(demo_native / "demo_chips", folder / "demo_chips")
    shutil.copytree(demo_native / "demo_landcover", folder / "demo_landcover")
    (folder / "demo_scenes").mkdir()
    scenes = sorted((demo_native / "demo_scenes").rglob("*.tif"), key=lambda p: p.stat().st_size)
    for path in [demo_native / "demo_scenes/dataset.yaml", *scenes[:4]]:
        shutil.copy(path, folder / "demo_scenes")
    shutil.copytree(demo_native / "demo_coasts/test", folder / "demo_coasts/test")
    shutil.copy(demo_native / "demo_coasts/dataset.yaml", folder / "demo_coasts")
    shutil.copy(demo_native / "planted.json", folder)
    return folder


@pytest.fixture(scope="session")
def small(small_native, tmp_path_factory) -> Curation:
    """The small world, curated once, undisturbed, with 2 workers."""
    curation = Curation(tmp_path_factory.mktemp("curated") / "c", small_native)
    curation.run()
    return curation
