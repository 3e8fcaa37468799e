# SPDX-License-Identifier: Apache-2.0
"""Where artefacts are written: folders of this machine, or object storage, by one kind of path.

`UPath` (universal-pathlib) does the path arithmetic over fsspec. Object storage takes its
credentials and its endpoint from the environment or from fsspec's own configuration, never from a
recipe: a recipe goes into the manifest of every corpus.
"""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyarrow.fs import LocalFileSystem
from upath import UPath

from rspipe.errors import NoSpace

Place = Path | UPath
"""A file or folder: a `Path` where it is local, else a `UPath` of another kind."""

_COPIES_AT_ONCE = 8
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def place(location: str | Place) -> Place:
    """Return the place that a recipe names; a local one is made absolute.

    >>> str(place("s3://bucket/corpus") / "data")
    's3://bucket/corpus/data'
    >>> place("file:///data/corpus")
    PosixPath('/data/corpus')
    """
    if isinstance(location, str):
        if "://" in location and not location.startswith("file://"):
            # What other processes write must be seen at once.
            return UPath(location, use_listings_cache=False)
        location = Path(location.removeprefix("file://"))
    return location.absolute() if isinstance(location, Path) else location


def arrow_source(where: Place) -> dict[str, Any]:
    """Name a file for PyArrow: its path, and the file system that it is on."""
    if isinstance(where, Path):
        return {"source": str(where), "filesystem": LocalFileSystem()}
    return {"source": where.path, "filesystem": where.fs}


@contextmanager
def written_whole(target: Place, expected_bytes: int | None = None) -> Iterator[Path]:
    """Give a local file to write; it becomes `target` when the block ends well.

    On this machine by a rename, in object storage by an upload, which appears whole or not at all.
    A killed writer leaves a `.partial` file, a failing one leaves nothing.

    Args:
        target: where the file goes.
        expected_bytes: about how large it will be, for the message when there is no room.

    Raises:
        NoSpace: the disk is full.
    """
    if not isinstance(target, Path):
        with tempfile.TemporaryDirectory(prefix="rspipe-") as folder:
            partial = Path(folder) / target.name
            with room_in(partial.parent, partial, expected_bytes):
                yield partial
            target.fs.put_file(str(partial), target.path)
        return
    partial = target.with_name(f".{target.name}.partial")
    with room_in(target.parent, partial, expected_bytes):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def room_in(folder: Path, partial: Path, expected_bytes: int | None) -> Iterator[None]:
    """Turn the error of a full disk into one that says what to do.

    Args:
        folder: on that disk.
        partial: the file that is written.
        expected_bytes: about how large it will be; None where nobody knows.

    Raises:
        NoSpace: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NoSpace(str(folder), partial.name, expected_bytes, _free_bytes(folder)) from error


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def check_room(folder: Place, expected_bytes: int, what: str) -> None:
    """Refuse to begin what cannot end.

    Raises:
        NoSpace: less is free on the folder's disk.
    """
    if isinstance(folder, Path):
        free = _free_bytes(next(f for f in (folder, *folder.parents) if f.exists()))
        if free is not None and free < expected_bytes:
            raise NoSpace(str(folder), what, expected_bytes, free)


def size_bytes(where: Place) -> int:
    """Size of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    return int(where.stat().st_size)


def remove_folder(folder: Place) -> None:
    """Delete a folder and all below it, if it is there."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        folder.fs.rm(folder.path, recursive=True)


def put_in_place(folder: Place, target: Place, last: str) -> None:
    """Move a finished folder to where it belongs.

    On this machine what was there before goes only when all is ready. In object storage, which
    cannot rename, it goes first, and the file that makes the folder whole comes last.

    Args:
        folder: the finished folder.
        target: where it belongs.
        last: name of the file without which the folder is unfinished.
    """
    if isinstance(folder, Path) and isinstance(target, Path):
        _rename_folder(folder, target)
        return
    (target / last).unlink(missing_ok=True)
    remove_folder(target)
    names = [name for name in _names_below(folder) if name != last]
    with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
        list(pool.map(lambda name: copy_file(folder / name, target / name), names))
    copy_file(folder / last, target / last)
    remove_folder(folder)


def _rename_folder(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    old, new = (target.with_name(f".{target.name}.{age}") for age in ("old", "new"))
    shutil.rmtree(old, ignore_errors=True)
    try:
        folder.replace(new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_folder(folder, new)
    if target.exists():
        target.replace(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _copy_folder(folder: Path, target: Path) -> None:
    """Copy a folder to another disk."""
    sizes = (file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(target, ignore_errors=True)
    check_room(target.parent, sum(sizes), target.name)
    shutil.copytree(folder, target)


def _names_below(folder: Place) -> list[str]:
    if isinstance(folder, Path):
        return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())
    root = folder.path.rstrip("/")
    return sorted(name[len(root) + 1 :] for name in folder.fs.find(root))


def copy_file(source: Place, target: Place) -> None:
    """Copy a file, which appears at its target whole or not at all."""
    if isinstance(source, Path) and not isinstance(target, Path):
        target.fs.put_file(str(source), target.path)
    elif isinstance(target, Path) and not isinstance(source, Path):
        with written_whole(target, size_bytes(source)) as partial:
            source.fs.get_file(source.path, str(partial))
    elif isinstance(source, Path) and isinstance(target, Path):
        with written_whole(target, size_bytes(source)) as partial:
            shutil.copyfile(source, partial)
    elif not isinstance(source, Path) and not isinstance(target, Path):
        _copy_between(source, target)


def _copy_between(source: UPath, target: UPath) -> None:
    if source.fs == target.fs:
        source.fs.cp_file(source.path, target.path)
        return
    with tempfile.TemporaryDirectory(prefix="rspipe-") as folder:
        local = Path(folder) / source.name
        source.fs.get_file(source.path, str(local))
        target.fs.put_file(str(local), target.path)
