# SPDX-License-Identifier: Apache-2.0
"""Run partitions on a Dask cluster, local or remote. The only file that imports Dask.

Workers die: Dask starts them anew and gives their partitions to others. A partition that kills
every worker that takes it is worked on in child processes, where the file that does it is found.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import dask
import pyarrow as pa
import typer
from distributed import (
    CancelledError,
    Client,
    KilledWorker,
    LocalCluster,
    as_completed,
    get_worker,
    performance_report,
)
from distributed.comm.core import CommClosedError
from tqdm import tqdm

from rspipe.curate.config import CurateHow
from rspipe.curate.isolated import run_apart
from rspipe.curate.receipt import read_receipt
from rspipe.errors import RspipeError, StageFailed
from rspipe.io.places import Place, written_whole
from rspipe.io.tables import is_sound_table, write_table

_INFLIGHT_PER_WORKER = 4
_RETRIES = 2  # of a task that raises: storage may have had a bad moment
_CONNECT_SECONDS = 10
_WORKERS_SECONDS = 120
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

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

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
        client = self._start()
        with tqdm(total=len(tasks), initial=len(tasks) - len(missing), desc=f"  {stage}") as bar:
            _Crew(client, stage, missing).work(bar)
        say_stage(stage, f"{len(tasks):,} partitions", started, tasks[0].target.parent)

    def _start(self) -> Client:
        if self._client is None:
            self._client = self._stack.enter_context(_dask_client(self._how))
            self._stack.enter_context(_reported(self._how, self._stages))
            limit = _memory_limit(self._client)
            memory = "without a limit" if limit is None else f"{limit / 2**30:.1f} GiB each"
            workers = len(self._client.nthreads())
            link = f"; dashboard: {self._client.dashboard_link}" if self._how.dashboard else ""
            typer.echo(f"  {workers} workers, {memory}{link}")
        return self._client


class _Crew:
    """The tasks of one stage at work: a few per worker at a time."""

    def __init__(self, client: Client, stage: str, tasks: Sequence[Task]) -> None:
        self._client = client
        self._stage = stage
        self._queue = iter(tasks)
        self._tasks: dict[str, tuple[Task, bool]] = {}
        """By key: the task, and whether it runs apart."""
        self._seen = False

    def work(self, bar: Any) -> None:
        """Do all tasks; the first that cannot be done stops the stage."""
        inflight = max(1, len(self._client.nthreads())) * _INFLIGHT_PER_WORKER
        first = [task for _, task in zip(range(inflight), self._queue, strict=False)]
        running = as_completed([self._submit(task) for task in first])
        for future in running:
            if not self._is_done(future):
                task, _ = self._tasks[future.key]
                bar.write(
                    f"  {task.name} killed its workers: it is narrowed down in child processes"
                )
                running.add(self._submit(task, apart=True))
                continue
            bar.update()
            for task in _next(self._queue):
                running.add(self._submit(task))

    def _submit(self, task: Task, *, apart: bool = False) -> Any:
        # Keys name the target, so the dashboard shows what runs; never a cached result.
        key = f"{self._stage}{'-apart' if apart else ''}-{task.name}"
        self._tasks[key] = task, apart
        work = _run_apart if apart else _run
        return self._client.submit(work, task, key=key, pure=False, retries=_RETRIES)

    def _is_done(self, future: Any) -> bool:
        """Look at a future that has ended; False if its task has to run apart."""
        task, apart = self._tasks[future.key]
        try:
            problem = future.result()
        except KilledWorker as error:
            if task.is_divisible and not apart:
                return False
            raise StageFailed(
                f"{self._stage}: {task.target} killed every worker that took it: give them more "
                "memory (how.memory_limit_gib, with fewer how.workers) and run again"
            ) from error
        except (CancelledError, CommClosedError, TimeoutError) as error:
            raise StageFailed(
                f"{self._stage}: the Dask cluster has gone: start it and run again; "
                "what is done stays"
            ) from error
        except Exception as error:
            error.add_note(f"rspipe: stage {self._stage}, while {task.target} was made")
            raise
        if problem is not None:
            raise problem
        self._see(task)
        return True

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


def _next(queue: Iterator[Task]) -> list[Task]:
    task = next(queue, None)
    return [] if task is None else [task]


def _memory_limit(client: Client) -> int | None:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    limits = [worker["memory_limit"] for worker in workers]
    return min(limits) if limits and all(limits) else None


@contextmanager
def _reported(how: CurateHow, stages: Place) -> Iterator[None]:
    """Leave Dask's own report of where time went in the stages folder, if one is wanted."""
    if not how.performance_report:
        yield
        return
    target = stages / "performance.html"
    with written_whole(target) as partial, performance_report(filename=str(partial)):
        yield
    typer.echo(f"  performance report → {target}")


@contextmanager
def _dask_client(how: CurateHow) -> Iterator[Client]:
    """Connect to the recipe's scheduler, or start local workers: spawned, one thread each.

    GDAL handles are not thread-safe, and a fork after its drivers are registered can deadlock.
    """
    if how.scheduler is not None:
        with _connected(how.scheduler) as client:
            yield client
        return
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.worker.daemon": True,
        "distributed.worker.preload": ["rspipe.curate.deaf"],
        "distributed.scheduler.allowed-failures": 2,
    }
    limit = "auto" if how.memory_limit_gib is None else f"{how.memory_limit_gib}GiB"
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=how.workers or None,
            threads_per_worker=1,
            processes=True,
            memory_limit=limit,
            dashboard_address=":0",
            scheduler_kwargs={"dashboard": how.dashboard},
            silence_logs=40,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Connect to a scheduler that somebody else started, and wait for its workers.

    Raises:
        StageFailed: there is no scheduler, it has no worker, or workers of another version.
    """
    try:
        client = Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError) as error:
        raise StageFailed(f"how.scheduler={address}: no Dask scheduler answers there") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
        except TimeoutError as error:
            raise StageFailed(
                f"how.scheduler={address}: no worker came in {_WORKERS_SECONDS} s; "
                f"start some with `dask worker {address} --nthreads 1`"
            ) from error
        _check_code(client)
        yield client


def _check_code(client: Client) -> None:
    """Make sure that workers do what this process would.

    Raises:
        StageFailed: a worker has other code.
    """

    def code() -> str:
        # Inside, so that it is sent as it is and not looked up in the worker's own rspipe.
        import hashlib
        from pathlib import Path

        import numpy as np
        import pyarrow as pa

        import rspipe

        digest = hashlib.sha256()
        for file in sorted(Path(rspipe.__file__).parent.rglob("*.py")):
            digest.update(file.read_bytes())
        made_of = f"rspipe {rspipe.__version__} ({digest.hexdigest()[:12]})"
        return f"{made_of}, pyarrow {pa.__version__}, numpy {np.__version__}"

    ours = code()
    for worker, theirs in client.run(code).items():
        if theirs != ours:
            raise StageFailed(
                f"worker {worker} has {theirs}, this process {ours}: what it makes would differ; "
                "install the same everywhere"
            )
