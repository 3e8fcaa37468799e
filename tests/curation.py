# SPDX-License-Identifier: Apache-2.0
"""A way for tests to curate as the command line does, and to kill it on the way."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rspipe.curate.config import CurateRecipe
from rspipe.recipe import load_recipe

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
    data: Path | str
    workers: int = 2
    files_per_partition: int = 128
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of the command line's process."""
    out: str | None = None
    """Where the corpus goes, if not below the folder."""
    stages_at: str | None = None
    """Where the stages go, if not below the folder."""

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def stages(self) -> Path:
        return self.folder / "stages"

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def recipe(self, *overrides: str) -> CurateRecipe:
        return load_recipe(self._write_recipe(), CurateRecipe, overrides)

    def _write_recipe(self) -> Path:
        self.folder.mkdir(exist_ok=True)
        recipe = self.folder / "curate.yaml"
        recipe.write_text(
            RECIPE.format(
                data=self.data,
                out=self.out or self.corpus,
                stages=self.stages_at or self.stages,
                workers=self.workers,
                files_per_partition=self.files_per_partition,
            )
        )
        return recipe

    def start(
        self, before: Callable[[], None] | None = None, overrides: Sequence[str] = ()
    ) -> subprocess.Popen:
        """Start the command line in a process group of its own; `before` runs in it first."""
        recipe = str(self._write_recipe())
        command = [sys.executable, "-m", "rspipe.cli", "curate", recipe, *overrides]
        log = (self.folder / "log.txt").open("a")
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 - it sets a limit, and nothing else runs
            env={**os.environ, **self.env},
        )

    def run(self) -> str:
        code = self.start().wait(timeout=300)
        assert code == 0, self.log
        return self.log

    def wait_for(self, child: subprocess.Popen, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not ready():
            assert child.poll() is None, self.log
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def kill_when(self, ready) -> None:
        """Start, and kill the whole process group as soon as `ready(self)` holds."""
        child = self.start()
        self.wait_for(child, lambda: ready(self))
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(timeout=30)


def digests(curation: Curation) -> dict[str, str]:
    """SHA-256 of every file below data/ and ledger/."""
    return {
        path.relative_to(curation.corpus).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("data", "ledger")
        for path in sorted((curation.corpus / folder).rglob("*"))
        if path.is_file()
    }
