# SPDX-License-Identifier: Apache-2.0
"""One run at a time works in a stages folder."""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from upath import UPath

from rspipe.errors import StageFailed
from rspipe.io.places import Place

_NAME = ".lock"
_BEAT_SECONDS = 20
_DEAD_SECONDS = 120
"""A holder that has not been heard of for so long is dead."""


@contextmanager
def locked(stages: Place) -> Iterator[None]:
    """Hold a stages folder for one run.

    On a disk the lock dies with the process that holds it, however it dies. In object storage it is
    an object that its holder renews; one that was not renewed for two minutes counts for nothing.

    Raises:
        StageFailed: another run works there; the message names it.
    """
    if isinstance(stages, Path):
        with _file_lock(stages):
            yield
    else:
        with _leased(stages / _NAME):
            yield


@contextmanager
def _file_lock(stages: Path) -> Iterator[None]:
    stages.mkdir(parents=True, exist_ok=True)
    with (stages / _NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise _taken(stages, file.read()) from error
        file.truncate(0)
        file.write(json.dumps(_holder()))
        file.flush()
        yield


@contextmanager
def _leased(lock: UPath) -> Iterator[None]:
    found = _read_lease(lock)
    if found is not None and _lives(found):
        raise _taken(lock.parent, json.dumps(found))
    holder = _holder()
    over = threading.Event()
    try:
        # Of two that come at once the storage lets one create it.
        _write_lease(lock, holder, "create" if found is None else "overwrite")
    except FileExistsError as error:
        raise _taken(lock.parent, json.dumps(_read_lease(lock))) from error

    def renew() -> None:
        while not over.wait(_BEAT_SECONDS):
            _write_lease(lock, holder, "overwrite")

    beat = threading.Thread(target=renew, daemon=True, name="rspipe-lock")
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()
        lock.unlink(missing_ok=True)


def _write_lease(lock: UPath, holder: dict[str, Any], mode: str) -> None:
    said = json.dumps(holder | {"alive": time.time()}).encode()
    lock.fs.pipe_file(lock.path, said, mode=mode)


def _lives(holder: dict[str, Any]) -> bool:
    if time.time() - holder.get("alive", 0) > _DEAD_SECONDS:
        return False
    return holder.get("host") != socket.gethostname() or psutil.pid_exists(holder.get("pid", 0))


def _read_lease(lock: UPath) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(lock.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _holder() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%F %T %z")}


def _taken(stages: Place, holder: str) -> StageFailed:
    return StageFailed(
        f"another run works in stages={stages} ({holder}): wait for it, or name another folder "
        "with stages=FOLDER"
    )
