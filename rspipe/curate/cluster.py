# SPDX-License-Identifier: Apache-2.0
"""The Dask cluster that curation works on: local workers, or a scheduler somebody else started.

Dask waits for ever where nobody is left to work. `Lookout` does not.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import dask
import psutil
from distributed import Client, LocalCluster, performance_report

from rspipe.curate.config import CurateHow
from rspipe.errors import StageFailed
from rspipe.io.places import Place, written_whole

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 10
_GLANCE_SECONDS = 5
"""How often a cluster is asked for its workers."""
_CLOSE_SECONDS = 10
"""For local workers to end by themselves."""
_PATIENCE_SECONDS = 10
"""How long nobody may be there before it is said: a worker that is started anew takes seconds."""


class Lookout:
    """Notices that nobody is left to do a stage's work.

    A worker counts that takes work or is busy, however long it has been. Only where none is seen
    for the whole of `how.worker_timeout_s` is the cluster given up.

    Args:
        client: asks the scheduler.
        how: names the limit, and the scheduler for the message.
        stage: what waits for workers.
    """

    def __init__(self, client: Client, how: CurateHow, stage: str) -> None:
        self._client = client
        self._how = how
        self._stage = stage
        self._next_s = 0.0
        self._alone_since_s: float | None = None
        self._has_said = False
        self._there: list[dict[str, Any]] = []
        self.workers = 0
        """How many take work or are busy, at the last look."""

    @property
    def glance_s(self) -> float:
        """Seconds between two looks."""
        return min(_GLANCE_SECONDS, self._how.worker_timeout_s / 4)

    def look(self, say: Callable[[str], object]) -> None:
        """Ask for the workers, unless that was done a moment ago.

        Args:
            say: told once when nobody is there.

        Raises:
            StageFailed: nobody has been there for too long, or the connection is closed.
        """
        if time.monotonic() < self._next_s:
            return
        lack = self._lack()
        now = time.monotonic()
        self._next_s = now + self.glance_s
        if lack is None:
            self._alone_since_s, self._has_said = None, False
            return
        if self._alone_since_s is None:
            self._alone_since_s = now
        alone_s, limit_s = now - self._alone_since_s, self._how.worker_timeout_s
        if alone_s >= limit_s:
            raise StageFailed(
                f"{self._stage}: for {limit_s:g} s (how.worker_timeout_s) {lack}: "
                f"{_mend(self._how)} and run again; what is done stays"
            )
        if alone_s >= _PATIENCE_SECONDS and not self._has_said:
            self._has_said = True
            say(f"  {lack} for {alone_s:.0f} s; waiting up to {limit_s:g} s (how.worker_timeout_s)")

    def wait(self, say: Callable[[str], object]) -> list[dict[str, Any]]:
        """Wait for the first worker; returns what the scheduler knows of each.

        Raises:
            StageFailed: none comes in time.
        """
        self.look(say)
        while not self.workers:
            time.sleep(min(0.2, self.glance_s))
            self.look(say)
        return self._there

    def _lack(self) -> str | None:
        """Say why nobody works; None if somebody does."""
        self.workers = 0
        if self._client.status == "closed":
            raise cluster_has_gone(self._stage)
        try:
            self._there = _known_workers(self._client)
        except OSError:  # TimeoutError and Dask's CommClosedError are such
            return "the Dask scheduler did not answer"
        self.workers = sum(map(_is_of_use, self._there))
        if self.workers:
            return None
        if self._there:
            return f"none of {len(self._there)} Dask workers took work, for want of memory"
        return "no Dask worker was there"


def _known_workers(client: Client) -> list[dict[str, Any]]:
    """Ask the scheduler for what it knows of each worker.

    Raises:
        OSError: it does not answer.
    """
    state = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=_ANSWER_SECONDS)
    return list(state["workers"].values())


def _is_of_use(worker: dict[str, Any]) -> bool:
    # A worker whose memory is nearly full is paused: it ends what it has begun, and takes no more.
    busy = worker["metrics"].get("task_counts", {}).get("executing", 0)
    return bool(worker["status"] == "running" or busy > 0)


def cluster_has_gone(stage: str) -> StageFailed:
    """What to raise where the connection to the scheduler is lost."""
    return StageFailed(
        f"{stage}: the Dask cluster has gone: start it and run again; what is done stays"
    )


def _mend(how: CurateHow) -> str:
    if how.scheduler is None:
        return (
            "Dask's own lines above may say why; give workers more memory (how.memory_limit_gib, "
            "with fewer how.workers)"
        )
    return f"see to {how.scheduler}, start workers with `dask worker {how.scheduler} --nthreads 1`"


@contextmanager
def connected(how: CurateHow, stage: str, say: Callable[[str], object]) -> Iterator[Client]:
    """Connect to the recipe's scheduler, or start local workers.

    Args:
        how: names the scheduler, or says how many workers to start.
        stage: the first stage that has work, for messages.
        say: told what is waited for.

    Raises:
        StageFailed: there is no scheduler, it has no worker, workers of another version, or local
            ones do not start.
    """
    with _local(how, stage) if how.scheduler is None else _remote(how, stage, say) as client:
        yield client


@contextmanager
def _local(how: CurateHow, stage: str) -> Iterator[Client]:
    """Start local workers: spawned, one thread each.

    GDAL handles are not thread-safe, and a fork after its drivers are registered can deadlock.
    """
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.worker.daemon": True,
        "distributed.worker.preload": ["rspipe.curate.deaf"],
        "distributed.scheduler.allowed-failures": 2,
        # Dask's 15 s: a worker that takes longer to come back, on a busy machine, never does.
        "distributed.deploy.lost-worker-timeout": f"{how.worker_timeout_s}s",
    }
    limit = "auto" if how.memory_limit_gib is None else f"{how.memory_limit_gib}GiB"
    strangers = psutil.Process().children()
    with dask.config.set(settings):
        stack = ExitStack()
        try:
            with _hung_workers_killed(how.worker_timeout_s, strangers):
                cluster = LocalCluster(
                    n_workers=how.workers or None,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=limit,
                    dashboard_address=":0",
                    scheduler_kwargs={"dashboard": how.dashboard},
                    silence_logs=40,
                )
                stack.enter_context(cluster)
                client = stack.enter_context(Client(cluster, timeout=how.worker_timeout_s))
        except (OSError, RuntimeError) as error:
            raise StageFailed(
                f"{stage}: local Dask workers do not start ({error}): Dask's own lines above may "
                "say why (no memory, no room for temporary files); what is done stays"
            ) from error
        try:
            yield client
        finally:
            with _hung_workers_killed(_CLOSE_SECONDS, strangers):
                stack.close()


@contextmanager
def _hung_workers_killed(after_s: float, strangers: Sequence[psutil.Process]) -> Iterator[None]:
    """Kill local workers while the block lasts longer: Dask waits for ever for one that hangs.

    Args:
        after_s: how long it may last.
        strangers: children that were there before the cluster; they stay.
    """
    ended = threading.Event()

    def kill() -> None:
        pause_s = after_s
        while not ended.wait(pause_s):
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    if child not in strangers and "spawn_main" in " ".join(child.cmdline()):
                        child.kill()
            pause_s = 1.0  # again: Dask may have started another

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _remote(how: CurateHow, stage: str, say: Callable[[str], object]) -> Iterator[Client]:
    """Connect to a scheduler that somebody else started, and wait for its workers."""
    try:
        client = Client(how.scheduler, timeout=_CONNECT_SECONDS)
    except OSError as error:
        raise StageFailed(
            f"how.scheduler={how.scheduler}: no Dask scheduler answers there"
        ) from error
    with client:
        Lookout(client, how, stage).wait(say)
        _check_code(client, how)
        yield client


def _check_code(client: Client, how: CurateHow) -> None:
    """Make sure that workers do what this process would.

    Raises:
        StageFailed: a worker has other code, or does not answer.
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
    try:
        answers = client.run(code, callback_timeout=how.worker_timeout_s)
    except OSError as error:
        raise StageFailed(
            f"how.scheduler={how.scheduler}: a worker does not say what code it has ({error}); "
            "end it and run again"
        ) from error
    for worker, theirs in answers.items():
        if theirs != ours:
            raise StageFailed(
                f"worker {worker} has {theirs}, this process {ours}: what it makes would differ; "
                "install the same everywhere"
            )


@contextmanager
def reported(how: CurateHow, stages: Place, say: Callable[[str], object]) -> Iterator[None]:
    """Leave Dask's own report of where time went in the stages folder, if one is wanted.

    Not of work that fails: the scheduler, which has it, may be what failed.
    """
    if not how.performance_report:
        yield
        return
    target = stages / "performance.html"
    with written_whole(target) as partial:
        report = ExitStack()
        report.enter_context(performance_report(filename=str(partial)))
        yield
        report.close()
    say(f"  performance report → {target}")
