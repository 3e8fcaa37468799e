# SPDX-License-Identifier: Apache-2.0
"""Unpack a fetched zip or tar archive into a folder, and into nothing but that folder.

Members that must not be unpacked (a name that leaves the folder, a link, a device, an encrypted
or bomb-like member) are left out and named. Each file appears whole or not at all; unpacking that
was interrupted goes on where it stopped.
"""

import bz2
import filecmp
import gzip
import lzma
import shutil
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from rspipe.errors import FetchError, UnreadableImage
from rspipe.io.containers.base import BOMB_RATIO, fault_of_name
from rspipe.io.containers.zip_file import ZipContainer
from rspipe.progress import track

_CHUNK_BYTES = 2**20
_FREE_BYTES = 2**30
"""Any archive may unpack to this much."""
_SPARE_BYTES = 64 * 2**20
_NOTE_EVERY = 256
_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".tgz": gzip.open,
    ".bz2": bz2.open,
    ".tbz": bz2.open,
    ".tbz2": bz2.open,
    ".xz": lzma.open,
    ".txz": lzma.open,
}
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, UnreadableImage, ValueError)


@dataclass(frozen=True)
class _Member:
    name: str
    size_bytes: int
    fault: str | None
    stream: BinaryIO | None


@dataclass
class Unpacked:
    """What came out of an archive."""

    files: int = 0
    """Members that lie in the folder now."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Members that do not, with the reason."""


def unpack(archive: Path, folder: Path, most_bytes: int | None = None) -> Unpacked:
    """Unpack an archive below a folder.

    Args:
        archive: a zip, or a tar with or without gzip, bzip2 or xz.
        folder: made where it is not there.
        most_bytes: an archive that unpacks to more is refused; null: 250 times its size, and at
            least 1 GiB.

    Raises:
        FetchError: no archive, a broken or bomb-like one, or the disk is too small.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bound = most_bytes or max(_FREE_BYTES, BOMB_RATIO * archive.stat().st_size)
    note = archive.with_name(archive.name + ".unpacking")
    place = _Folder(folder, archive.with_name(archive.name + ".member"))
    done, out, written = _read_note(note), Unpacked(), 0
    try:
        for count, member in enumerate(track(_members(archive), desc=archive.name)):
            written += member.size_bytes
            if written > bound:
                raise FetchError(
                    f"{archive}: an archive bomb: it unpacks to over {bound:,} bytes; "
                    "unpack it by hand if you trust it, then remove it"
                )
            fault = member.fault or place.write(member, skip=count < done)
            if fault is None:
                out.files += 1
            else:
                out.left_out[member.name] = fault
            if count >= done and count % _NOTE_EVERY == 0:
                note.write_text(str(count))
    except _BROKEN as error:
        raise FetchError(f"{archive}: the archive is broken: {error}") from error
    except OSError as error:
        raise FetchError(f"{archive}: cannot be unpacked: {error.strerror or error}") from error
    note.unlink(missing_ok=True)
    return out


def is_archive(name: str) -> bool:
    """Whether a file name is that of an archive which `unpack` takes."""
    return name.lower().endswith(
        (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz")
    )


def _read_note(note: Path) -> int:
    try:
        return int(note.read_text())
    except (OSError, ValueError):
        return 0


def _members(archive: Path) -> Iterator[_Member]:
    if archive.suffix.lower() == ".zip":
        yield from _zip_members(archive)
    elif is_archive(archive.name):
        yield from _tar_members(archive)
    else:
        raise FetchError(f"{archive}: no zip or tar; unpack it by hand, then remove it")


def _zip_members(archive: Path) -> Iterator[_Member]:
    with closing(ZipContainer(archive.open("rb"), archive.name)) as container:
        members = container.members()
        _check_disk(archive, sum(m.size_bytes for m in members if m.fault is None))
        for m in members:
            stream = None if m.fault else container.open(m.name)
            yield _Member(m.name, m.size_bytes if m.fault is None else 0, m.fault, stream)
            if stream is not None:
                stream.close()


def _tar_members(archive: Path) -> Iterator[_Member]:
    # tarfile's own decompression takes a cut xz stream for a whole one; the openers do not.
    with _OPENERS.get(archive.suffix.lower(), open)(archive, "rb") as raw:
        stream = _Remembered(raw)
        with tarfile.open(fileobj=cast(Any, stream), mode="r|") as tar:  # one pass: no seeking
            for info in tar:
                if info.isdir():
                    continue
                fault = _tar_fault(info)
                data = None if fault else cast(BinaryIO, tar.extractfile(info))
                yield _Member(info.name, 0 if fault else info.size, fault, data)
                cast(Any, tar).members = []  # else the list of members grows with the archive
            end = stream.block_at(tar.offset)
        while stream.read(_CHUNK_BYTES):
            pass
    if end != bytes(tarfile.BLOCKSIZE):
        raise ValueError("no end mark where its last member ends: it was cut short or is damaged")


class _Remembered:
    """A stream that remembers what was read last: tarfile ends in silence at a broken header."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._count = stream, 0
        self._last: deque[bytes] = deque(maxlen=3)

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._count += len(data)
        self._last.append(data)
        return data

    def block_at(self, offset: int) -> bytes:
        """Return the tar block at an offset, as far as it is among the bytes read last."""
        recent = b"".join(self._last)
        start = len(recent) - (self._count - offset)
        return recent[start : start + tarfile.BLOCKSIZE] if start >= 0 else b""


def _tar_fault(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "a link inside an archive is not followed"
    if not info.isreg():
        return "not a regular file (a device or a pipe) inside an archive"
    return fault_of_name(info.name)


class _Folder:
    """Where members go."""

    def __init__(self, root: Path, partial: Path) -> None:
        self._root, self._partial = root, partial
        self._within: dict[Path, bool] = {}

    def write(self, member: _Member, skip: bool) -> str | None:
        """Write one member, whole or not at all; return why it was left out, if it was."""
        final = self._root / member.name
        if not self._is_within(final.parent):
            return "a link in the folder leads out of it"
        if skip and final.is_file() and final.stat().st_size == member.size_bytes:
            return None
        if member.size_bytes > _CHUNK_BYTES:
            _check_disk(self._root, member.size_bytes)
        try:
            with self._partial.open("wb") as out:
                _copy(member, out)
            return self._place(final)
        finally:
            self._partial.unlink(missing_ok=True)

    def _is_within(self, parent: Path) -> bool:
        """Make a member's folder, unless a link that was there before leads elsewhere."""
        if parent not in self._within:
            self._within[parent] = parent.resolve().is_relative_to(self._root.resolve())
            if self._within[parent]:
                parent.mkdir(parents=True, exist_ok=True)
        return self._within[parent]

    def _place(self, final: Path) -> str | None:
        if final.is_symlink() or (final.exists() and not final.is_file()):
            return "a folder or link of this name is there"
        if final.exists() and not filecmp.cmp(self._partial, final, shallow=False):
            return "another file of this name is there"
        self._partial.replace(final)
        return None


def _copy(member: _Member, out: BinaryIO) -> None:
    stream = member.stream
    left = member.size_bytes
    while stream is not None and (chunk := stream.read(_CHUNK_BYTES)):
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"{member.name} is longer than the archive declares")
        out.write(chunk)
    if left:
        raise ValueError(f"{member.name} ends {left:,} bytes early")


def _check_disk(place: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(place if place.is_dir() else place.parent).free
    if size_bytes + _SPARE_BYTES > free:
        raise FetchError(
            f"{place}: {size_bytes:,} bytes are to be written and the disk has {free:,} free; "
            "make room, then fetch again"
        )
