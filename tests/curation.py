"""A way for tests to curate as the command line does, and to kill it on the way."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

RECIPE = """
name: t
data: {data}
out: {out}
stages: {stages}
what:
  slice: {{tile_px: 64, stride_px: 64, larger_than_px: 128}}
  screen: {{max_nodata_fraction: 0.25, max_flatness: 0.95}}
how: {{workers: {workers}, dashboard: false, files_per_partition: {files_per_partition}}}
"""


@dataclass(frozen=True)
class Curation:
    """One recipe in a folder of its own."""

    folder: Path
    data: Path
    workers: int = 2
    files_per_partition: int = 128

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def stages(self) -> Path:
        return self.folder / "stages"

    def start(self) -> subprocess.Popen:
        self.folder.mkdir(exist_ok=True)
        recipe = self.folder / "curate.yaml"
        recipe.write_text(
            RECIPE.format(
                data=self.data,
                out=self.corpus,
                stages=self.stages,
                workers=self.workers,
                files_per_partition=self.files_per_partition,
            )
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
