# SPDX-License-Identifier: Apache-2.0
"""Do the runs: each in a process of its own, some at the same time, finished ones never again."""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import yaml

from rspipe.compare.plan import PlannedRun
from rspipe.errors import RunError, Stopped
from rspipe.progress import tally
from rspipe.train.run_folder import RunFolder
from rspipe.train.signals import stopping

_LOOK_EVERY_S = 0.2
_TAIL_LINES = 5


def is_complete(run: PlannedRun, corpus_fingerprint: str) -> bool:
    """Whether this very run has ended."""
    return RunFolder(run.recipe, corpus_fingerprint).is_complete()


def has_diverged(run: PlannedRun) -> bool:
    """Whether it ended with a loss that is no number."""
    return (run.folder / "nonfinite.json").is_file()


def train_in_children(runs: Sequence[PlannedRun], parallel: int) -> None:
    """Do some runs by `rspipe pretrain`, each with its recipe and its log beside its folder.

    A run that diverges is a result, not an error: `has_diverged` tells.

    Args:
        runs: what to do; a half-done run goes on where it stopped.
        parallel: how many at the same time.

    Raises:
        RunError: a run failed for another reason, or the comparison was stopped; running ones have
            saved a checkpoint then.
    """
    waiting, alive = deque(runs), list[_Child]()
    with stopping() as stop, tally("runs", len(runs), unit="run") as bar:
        try:
            while (waiting or alive) and stop.signal_name is None:
                while waiting and len(alive) < parallel:
                    alive.append(_Child(waiting.popleft()))
                time.sleep(_LOOK_EVERY_S)
                for child in [child for child in alive if child.process.poll() is not None]:
                    alive.remove(child)
                    child.check()
                    bar.update()
        finally:
            for child in alive:
                child.process.terminate()  # it saves a checkpoint and ends
            for child in alive:
                child.process.wait()
    if stop.signal_name is not None:
        message = f"stopped by {stop.signal_name}; the same command continues"
        raise Stopped(stop.signal_name, message)


@dataclass
class _Child:
    run: PlannedRun
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        folder = self.run.folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        recipe = Path(f"{folder}.yaml")
        recipe.write_text(yaml.safe_dump(self.run.recipe.model_dump(mode="json"), sort_keys=False))
        command = [sys.executable, "-m", "rspipe.cli", "pretrain", str(recipe)]
        # A session of its own: Ctrl-C reaches it through us, once.
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    @property
    def _log(self) -> Path:
        return Path(f"{self.run.folder}.log")

    def check(self) -> None:
        """Let success and divergence pass.

        Raises:
            RunError: the run failed; the end of its log is in the message.
        """
        if self.process.returncode != 0 and not has_diverged(self.run):
            self._fail()

    def _fail(self) -> NoReturn:
        lines = self._log.read_text(errors="replace").splitlines()
        tail = "\n  ".join(lines[-_TAIL_LINES:])
        raise RunError(f"{self.run.recipe.name} failed; {self._log} ends with\n  {tail}")
