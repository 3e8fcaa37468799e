# SPDX-License-Identifier: Apache-2.0
"""Run a partition in child processes, after it has killed its worker again and again.

Somewhere in it is a file whose decoder crashes or takes all memory. The partition is halved until
that file is alone; it becomes a row that says so, and every other file its usual rows.
"""

import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.errors import StageFailed

_POLL_SECONDS = 0.02


class Divisible(Protocol):
    """Work on a partition whose rows do not depend on each other."""

    def count(self) -> int:
        """Rows to work on."""

    def piece(self, start: int, stop: int) -> Self:
        """The work on some of the rows."""

    def give_up(self, why: str) -> pa.Table:
        """What becomes of a single row that no process survives."""


def run_apart(
    function: Callable[[Any], pa.Table], item: Divisible, memory_bytes: int | None
) -> pa.Table:
    """Do what `function(item)` does, whatever it does to the process.

    Args:
        function: makes a table of work.
        item: the work.
        memory_bytes: what a child may hold (resident); None: no limit.
    """
    return pa.concat_tables(list(_pieces(function, item, item.count(), memory_bytes)))


def _pieces(
    function: Callable[[Any], pa.Table], item: Divisible, count: int, memory_bytes: int | None
) -> Iterator[pa.Table]:
    outcome = _in_child(function, item, memory_bytes)
    if isinstance(outcome, pa.Table):
        yield outcome
    elif count <= 1:
        yield item.give_up(outcome)
    else:
        middle = count // 2
        yield from _pieces(function, item.piece(0, middle), middle, memory_bytes)
        yield from _pieces(function, item.piece(middle, count), count - middle, memory_bytes)


def _in_child(function: Any, item: Divisible, memory_bytes: int | None) -> pa.Table | str:
    """Return the result, or what became of the process."""
    with tempfile.TemporaryDirectory(prefix="rspipe-") as folder:
        work, result, said = (Path(folder) / name for name in ("work", "result", "said"))
        work.write_bytes(pickle.dumps((function, item)))
        command = [sys.executable, "-m", __name__, str(work), str(result)]
        with said.open("wb") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log)
        if not _outlives(child, memory_bytes):
            return f"it takes more than {memory_bytes:,} bytes of memory"
        if child.returncode < 0:
            return f"it kills the process that reads it ({signal.Signals(-child.returncode).name})"
        if child.returncode > 0:
            raise StageFailed(said.read_text(errors="replace").strip()[-2000:])
        return pq.read_table(result)


def _outlives(child: "subprocess.Popen[bytes]", memory_bytes: int | None) -> bool:
    """Wait for a process; False if it had to be killed for what it held."""
    process = psutil.Process(child.pid)
    while child.poll() is None:
        try:
            held = process.memory_info().rss
        except psutil.NoSuchProcess:
            held = 0
        if memory_bytes is not None and held > memory_bytes:
            child.kill()
            child.wait()
            return False
        time.sleep(_POLL_SECONDS)
    return True


def main() -> None:
    """Do the work in a file, in this process."""
    work, result = sys.argv[1:]
    function, item = pickle.loads(Path(work).read_bytes())  # noqa: S301 - written by our parent
    pq.write_table(function(item), result)


if __name__ == "__main__":
    main()
