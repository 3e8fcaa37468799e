# SPDX-License-Identifier: Apache-2.0
"""Tar archives, members read one by one where they lie.

A compressed tar has no random access: `unpacked_tar` unpacks the stream, not the members, into one
plain tar file first.
"""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from rspipe.errors import UnreadableImage
from rspipe.io.containers.base import BOMB_RATIO, Member, fault_of_name, without_doubles

_CHUNK_BYTES = 2**20
_FREE_BYTES = 2**30  # a compressed tar may always unpack to this much
_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.GzipFile,
    ".tgz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".tbz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".txz": lzma.LZMAFile,
}
COMPRESSED_SUFFIXES = tuple(_OPENERS)
END = "(end)"
"""Name under which the ledger lists what is wrong with the end of an archive."""


class TarContainer:
    """A plain tar archive; its members' places are found in one pass over the headers."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self._stream, self._path = stream, path
        try:
            self._tar = tarfile.TarFile(fileobj=stream)
        except (tarfile.TarError, OSError, ValueError) as error:
            raise UnreadableImage(path, f"not a readable tar archive: {error}") from error

    def members(self) -> tuple[Member, ...]:
        """List all members but folders."""
        return self._members

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        found = [Member(_name(info), info.size, _fault(info)) for info in self._infos.values()]
        fault = self._fault_of_end()
        return without_doubles([*found, Member(END, 0, fault)] if fault else found)

    def _fault_of_end(self) -> str | None:
        """Say what is wrong with the place where the members end: Python's tarfile does not."""
        self._stream.seek(self._tar.offset)
        mark = self._stream.read(tarfile.BLOCKSIZE)
        if not any(mark) and len(mark) == tarfile.BLOCKSIZE:
            return None
        if mark:
            return f"a damaged header at byte {self._tar.offset:,}: what follows cannot be found"
        return "the archive ends without its end mark: members may be missing"

    @cached_property
    def _infos(self) -> dict[int, tarfile.TarInfo]:
        try:
            infos = [info for info in self._tar if not info.isdir()]
        except (tarfile.TarError, OSError, ValueError) as error:
            raise UnreadableImage(self._path, f"tar archive is broken: {error}") from error
        return {info.offset: info for info in infos}

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        places: dict[str, tuple[int, int]] = {}
        for info in self._infos.values():
            if info.isreg():
                places.setdefault(_name(info), (info.offset_data, info.size))
        return places

    def open(self, name: str) -> BinaryIO:
        """Open a member."""
        if name not in self._places:
            raise UnreadableImage(f"{self._path}/{name}", "no such file in the tar archive")
        offset, size = self._places[name]
        raw = _Window(self._stream, offset, size, f"{self._path}/{name}")
        return cast(BinaryIO, io.BufferedReader(raw, _CHUNK_BYTES))

    def close(self) -> None:
        """Close archive and stream."""
        self._tar.close()
        self._stream.close()


def _name(info: tarfile.TarInfo) -> str:
    """Name a member as its folder would: `tar cf set.tar .` begins every name with `./`."""
    return info.name.removeprefix("./") or info.name


def _fault(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "a link inside an archive is not followed"
    if not info.isreg():
        return "not a regular file (a device or a pipe) inside an archive"
    return fault_of_name(info.name)


class _Window(io.RawIOBase):
    """Some bytes of a stream, as a stream."""

    def __init__(self, stream: BinaryIO, offset: int, size: int, path: str) -> None:
        self._stream, self._offset, self._size, self._path = stream, offset, size, path
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        wanted = min(len(view), self._size - self._at)
        self._stream.seek(self._offset + self._at)
        data = self._stream.read(wanted)
        if len(data) < wanted:
            raise UnreadableImage(self._path, "the tar archive ends before this member does")
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def unpacked_tar(stream: BinaryIO, suffix: str, target: Path, path: str, packed_bytes: int) -> None:
    """Unpack a compressed tar into a plain one, whole or not at all.

    Args:
        stream: the compressed bytes.
        suffix: one of COMPRESSED_SUFFIXES.
        target: where the plain tar goes.
        path: the archive as the ledger names it.
        packed_bytes: size of the compressed file.

    Raises:
        UnreadableImage: the stream is broken, or unpacks to more than pictures can.
    """
    most_bytes = max(_FREE_BYTES, BOMB_RATIO * packed_bytes)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    written = 0
    try:
        with _open_packed(stream, suffix) as plain, partial.open("wb") as out:
            while chunk := plain.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > most_bytes:
                    why = f"an archive bomb: over {most_bytes:,} bytes out of {packed_bytes:,}"
                    raise UnreadableImage(path, why)
                out.write(chunk)
        partial.replace(target)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as error:
        raise UnreadableImage(path, f"the compressed archive is broken: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _open_packed(stream: BinaryIO, suffix: str) -> Any:
    opener = _OPENERS[suffix]
    return opener(fileobj=stream) if opener is gzip.GzipFile else opener(stream)
