# SPDX-License-Identifier: Apache-2.0
"""Metrics of a run: one JSON line per logged step, and the same to other places."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rspipe.train.checkpoint import write_aside
from rspipe.train.sinks import Sink


class MetricsLog:
    """Append metrics; steps that a resumed run will repeat are taken back first.

    Args:
        folder: the run folder.
        done: steps that are done; later lines are of a killed run.
        sinks: where else they go.
    """

    def __init__(self, folder: Path, done: int, sinks: Sequence[Sink] = ()) -> None:
        path = folder / "metrics.jsonl"
        _truncate(path, done)
        self._file = path.open("a", buffering=1)
        self._sinks = sinks

    def write(self, step: int, values: dict[str, float]) -> None:
        """Note the values after `step` steps."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        for sink in self._sinks:
            sink.write(step, values)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        for sink in self._sinks:
            sink.close()


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Read the lines of a run, oldest first; a line cut off by a kill is left out."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    # Only the last line can lack its end: each is written at once.
    whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line) for line in whole]


def _truncate(path: Path, done: int) -> None:
    kept = [line for line in read_metrics(path.parent) if line["step"] <= done]
    write_aside(path, "".join(json.dumps(line) + "\n" for line in kept))
