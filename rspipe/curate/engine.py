# SPDX-License-Identifier: Apache-2.0
"""Run partitions on a Dask cluster, local or remote.

Workers die: Dask starts them anew and gives their partitions to others. A partition that kills
every worker that takes it is worked on in child processes, where the file that does it is found.
Where no worker is left, the stage ends with a message.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import pyarrow as pa
import typer
from distributed import CancelledError, Client, KilledWorker, get_worker
from distributed.client import ClosedClientError
from distributed.comm.core import CommClosedError

from rspipe.curate.cluster import (
    Lookout,
    cluster_has_gone,
    connected,
    reported,
)
from rspipe.curate.config import CurateHow
from rspipe.curate.isolated import run_apart
from rspipe.curate.receipt import read_receipt
from rspipe.errors import RspipeError, StageFailed
from rspipe.io.places import Place
from rspipe.io.tables import is_sound_table, write_table
from rspipe.progress import counted, tally

_INFLIGHT_PER_WORKER = 4
_RETRIES = 2  # of a task that raises: storage may have had a bad moment
_GATHER_SECONDS = 10
"""For a result to come from its worker, before it is seen whether there still is one."""
_CHECKERS = 16


@dataclass(frozen=True)
class Task:
    """One piece of work: `function(item, receipt, target)` or, for a table, `function(item)`."""

    function: Callable[..., Any]
    item: Any
    target: Place
    """The file that holds the result."""
    receipt: Place | None = None
    """Where the file's receipt goes, if it is a file of the corpus."""

    @property
    def name(self) -> str:
        """What the dashboard and messages call it."""
        return f"{self.target.parent.name}/{self.target.name}"

    @property
    def is_done(self) -> bool:
        """Whether the result is there, whole."""
        if self.receipt is not None:
            return read_receipt(self.receipt, self.target) is not None
        return is_sound_table(self.target)

    @property
    def is_divisible(self) -> bool:
        """Whether the work can be done row by row."""
        return hasattr(self.item, "piece")

    def run(self) -> None:
        """Do the work."""
        if self.receipt is not None:
            self.function(self.item, self.receipt, self.target)
        else:
            table: pa.Table = self.function(self.item)
            write_table(table, self.target)

    def run_apart(self, memory_bytes: int | None) -> None:
        """Do the work in child processes."""
        write_table(run_apart(self.function, self.item, memory_bytes), self.target)


class Engine:
    """A Dask client that is started only when there is work.

    Args:
        how: says where and how fast to work.
        stages: where the performance report goes, if one is wanted.
    """

    def __init__(self, how: CurateHow, stages: Place) -> None:
        self._how = how
        self._stages = stages
        self._stack = ExitStack()
        self._client: Client | None = None

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exc: Any) -> None:
        self._stack.__exit__(*exc)

    def run(self, stage: str, tasks: Sequence[Task]) -> None:
        """Do the tasks of a stage whose results are missing.

        Raises:
            StageFailed: a partition cannot be done, or the cluster has gone.
            RspipeError: what a task raised.
        """
        started = time.monotonic()
        with ThreadPoolExecutor(_CHECKERS) as pool:
            done = list(pool.map(lambda task: task.is_done, tasks))
        missing = [task for task, is_done in zip(tasks, done, strict=True) if not is_done]
        if not missing:
            return
        client = self._start(stage)
        lookout = Lookout(client, self._how, stage)
        with tally(f"  {stage}", len(tasks), initial=len(tasks) - len(missing)) as bar:
            _Crew(client, lookout, stage, missing, bar).work()
        say_stage(stage, counted(len(tasks), "partition"), started, tasks[0].target.parent)

    def _start(self, stage: str) -> Client:
        if self._client is None:
            self._client = self._stack.enter_context(connected(self._how, stage, typer.echo))
            self._stack.enter_context(reported(self._how, self._stages, typer.echo))
            link = f"; dashboard: {self._client.dashboard_link}" if self._how.dashboard else ""
            workers = Lookout(self._client, self._how, stage).wait(typer.echo)
            typer.echo(f"  {_describe(workers)}{link}")
        return self._client


class _Running(NamedTuple):
    """A task that Dask has been given."""

    task: Task
    future: Any
    apart: bool
    """Whether it runs in child processes."""


class _Crew:
    """The tasks of one stage at work: a few per worker at a time."""

    def __init__(
        self, client: Client, lookout: Lookout, stage: str, tasks: Sequence[Task], bar: Any
    ) -> None:
        self._client = client
        self._lookout = lookout
        self._stage = stage
        self._waiting = list(reversed(tasks))
        self._bar = bar
        self._running: dict[str, _Running] = {}
        self._ended: SimpleQueue[Any] = SimpleQueue()
        """Futures that have ended, well or badly."""
        self._seen = False

    def work(self) -> None:
        """Do all tasks; the first that cannot be done stops the stage."""
        while self._waiting or self._running:
            self._lookout.look(self._bar.write)
            self._hand_out()
            try:
                future = self._ended.get(timeout=self._lookout.glance_s)
            except Empty:
                self._bar.refresh()
                continue
            self._take_back(self._running.pop(future.key))

    def _hand_out(self) -> None:
        """Give Dask tasks, as many as the workers that are there now have to hand."""
        limit = max(1, self._lookout.workers) * _INFLIGHT_PER_WORKER
        while self._waiting and len(self._running) < limit:
            self._submit(self._waiting.pop())

    def _submit(self, task: Task, *, apart: bool = False) -> None:
        # Keys name the target, so the dashboard shows what runs; never a cached result.
        key = f"{self._stage}{'-apart' if apart else ''}-{task.name}"
        work = _run_apart if apart else _run
        try:
            future = self._client.submit(work, task, key=key, pure=False, retries=_RETRIES)
        except ClosedClientError as error:
            raise cluster_has_gone(self._stage) from error
        self._running[key] = _Running(task, future, apart)
        future.add_done_callback(self._ended.put)

    def _take_back(self, done: _Running) -> None:
        """Look at what has ended; what nobody could do whole runs apart."""
        if self._is_done(done):
            self._bar.update()
            return
        name = done.task.name
        self._bar.write(f"  {name} killed its workers: it is narrowed down in child processes")
        self._submit(done.task, apart=True)

    def _is_done(self, done: _Running) -> bool:
        """Tell whether a task is done; False if it has to run apart."""
        task = done.task
        try:
            problem = self._result(done.future)
        except KilledWorker as error:
            if task.is_divisible and not done.apart:
                return False
            raise StageFailed(
                f"{self._stage}: {task.target} killed every worker that took it: give them more "
                "memory (how.memory_limit_gib, with fewer how.workers) and run again"
            ) from error
        except (CancelledError, CommClosedError) as error:
            raise cluster_has_gone(self._stage) from error
        except StageFailed:
            raise
        except Exception as error:
            error.add_note(f"rspipe: stage {self._stage}, while {task.target} was made")
            raise
        if problem is not None:
            raise problem
        self._see(task)
        return True

    def _result(self, future: Any) -> RspipeError | None:
        """Fetch what a task returned: nothing, most often, which nobody need fetch.

        Dask does the task again where the worker that has the result is lost.
        """
        if future.status == "finished" and future.type is type(None):
            return None
        while True:
            try:
                problem: RspipeError | None = future.result(timeout=_GATHER_SECONDS)
            except TimeoutError:
                if future.status == "error":
                    raise  # the task's own
                self._lookout.look(self._bar.write)
            else:
                return problem

    def _see(self, task: Task) -> None:
        if not self._seen and not task.target.exists():
            raise StageFailed(
                f"{self._stage}: a worker has written {task.target}, which is not seen from here: "
                "`stages` must be a folder that all machines share, or object storage"
            )
        self._seen = True


def say_stage(stage: str, what: str, started: float, path: Place) -> None:
    """Say on the terminal that a stage is done."""
    typer.echo(f"  {stage:<8} {what:>18}  {time.monotonic() - started:6.1f} s  → {path}")


def _run(task: Task) -> RspipeError | None:
    """Do a task in a worker. What is wrong beyond repair is returned, for nobody to try again."""
    pa.set_cpu_count(1)  # as many threads as a worker has
    try:
        task.run()
    except RspipeError as error:
        return error
    return None


def _run_apart(task: Task) -> RspipeError | None:
    limit = get_worker().memory_manager.memory_limit
    try:
        task.run_apart(limit and int(limit * 0.9))
    except RspipeError as error:
        return error
    return None


def _describe(workers: Sequence[dict[str, Any]]) -> str:
    limits = [worker["memory_limit"] for worker in workers]
    memory = f"{min(limits) / 2**30:.1f} GiB each" if limits and all(limits) else "without a limit"
    return f"{counted(len(workers), 'worker')}, {memory}"
