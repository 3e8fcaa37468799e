"""Run partitions on a Dask cluster, local or remote. The only file that imports Dask."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import pyarrow as pa
import typer
from distributed import Client, LocalCluster, as_completed
from tqdm import tqdm

from rspipe.curate.config import CurateHow
from rspipe.curate.receipt import read_receipt
from rspipe.io.tables import is_sound_table, write_table

_INFLIGHT_PER_WORKER = 4
_RETRIES = 2


@dataclass(frozen=True)
class Task:
    """One piece of work: `function(item, receipt, target)` or, for a table, `function(item)`."""

    function: Callable[..., Any]
    item: Any
    target: Path
    """The file that holds the result."""
    receipt: Path | None = None
    """Where the file's receipt goes, if it is a file of the corpus."""

    @property
    def is_done(self) -> bool:
        """Whether the result is there, whole."""
        if self.receipt is not None:
            return read_receipt(self.receipt, self.target) is not None
        return is_sound_table(self.target)

    def run(self) -> None:
        """Do the work."""
        if self.receipt is not None:
            self.function(self.item, self.receipt, self.target)
        else:
            table: pa.Table = self.function(self.item)
            write_table(table, self.target)


class Engine:
    """A Dask client that is started only when there is work."""

    def __init__(self, how: CurateHow) -> None:
        self._how = how
        self._stack = ExitStack()
        self._client: Client | None = None

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def run(self, stage: str, tasks: Sequence[Task]) -> None:
        """Do the tasks of a stage whose results are missing."""
        started = time.monotonic()
        missing = [task for task in tasks if not task.is_done]
        if not missing:
            return
        client = self._start()
        bar = tqdm(total=len(tasks), initial=len(tasks) - len(missing), desc=f"  {stage}")
        queue = iter(missing)
        inflight = max(1, len(client.nthreads())) * _INFLIGHT_PER_WORKER
        with bar:
            first = [task for _, task in zip(range(inflight), queue, strict=False)]
            running = as_completed([_submit(client, stage, task) for task in first])
            for future in running:
                future.result()
                bar.update()
                for task in _next(queue):
                    running.add(_submit(client, stage, task))
        say_stage(stage, f"{len(tasks):,} partitions", started, tasks[0].target.parent)

    def _start(self) -> Client:
        if self._client is None:
            self._client = self._stack.enter_context(_dask_client(self._how))
            typer.echo(f"  dashboard: {self._client.dashboard_link}")
        return self._client


def say_stage(stage: str, what: str, started: float, path: Path) -> None:
    """Say on the terminal that a stage is done."""
    typer.echo(f"  {stage:<8} {what:>18}  {time.monotonic() - started:6.1f} s  → {path}")


def _submit(client: Client, stage: str, task: Task) -> Any:
    # Keys name the target, so the dashboard shows what runs; never a cached result.
    key = f"{stage}-{task.target.parent.name}-{task.target.stem}"
    return client.submit(_run, task, key=key, pure=False, retries=_RETRIES)


def _run(task: Task) -> None:
    task.run()


def _next(queue: Iterator[Task]) -> list[Task]:
    task = next(queue, None)
    return [] if task is None else [task]


@contextmanager
def _dask_client(how: CurateHow) -> Iterator[Client]:
    """Connect to the recipe's scheduler, or start local workers: spawned, one thread each.

    GDAL handles are not thread-safe, and a fork after its drivers are registered can deadlock.
    """
    if how.scheduler is not None:
        with Client(how.scheduler) as client:
            yield client
        return
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.worker.daemon": True,
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=how.workers or None,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0" if how.dashboard else None,
            silence_logs=40,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
