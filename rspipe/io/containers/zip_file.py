# SPDX-License-Identifier: Apache-2.0
"""Zip archives, members read one by one where they lie."""

import zipfile
import zlib
from functools import cached_property
from typing import IO, BinaryIO, cast

from rspipe.errors import UnreadableImage
from rspipe.io.containers.base import Member, fault_of_name, fault_of_size, without_doubles

_LINK = 0o120000
_TYPE_MASK = 0o170000
_ENCRYPTED = 0x1
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""What reading a broken archive raises."""


class ZipContainer:
    """A zip archive, also without its end where the directory can still be found."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self._stream, self._path = stream, path
        try:
            self._zip = zipfile.ZipFile(stream)
        except (*BROKEN, ValueError) as error:
            raise UnreadableImage(path, f"not a readable zip archive: {error}") from error

    def members(self) -> tuple[Member, ...]:
        """List all members but folders."""
        return self._members

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        return without_doubles(Member(i.filename, i.file_size, _fault(i)) for i in infos)

    def open(self, name: str) -> BinaryIO:
        """Open a member; a wrong checksum is noticed when its end is read."""
        try:
            return cast(BinaryIO, _Checked(self._zip.open(name), f"{self._path}/{name}"))
        except (*BROKEN, KeyError) as error:
            raise UnreadableImage(f"{self._path}/{name}", f"zip member: {error}") from error

    def close(self) -> None:
        """Close archive and stream."""
        self._zip.close()
        self._stream.close()


def _fault(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & _ENCRYPTED:
        return "encrypted: decrypt the archive first"
    if (info.external_attr >> 16) & _TYPE_MASK == _LINK:
        return "a link inside an archive is not followed"
    return fault_of_name(info.filename) or fault_of_size(info.file_size, info.compress_size)


class _Checked:
    """A member's stream whose errors name the member."""

    def __init__(self, stream: IO[bytes], path: str) -> None:
        self._stream, self._path = stream, path

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except BROKEN as error:
            raise UnreadableImage(self._path, f"zip member is broken: {error}") from error

    def __enter__(self) -> "_Checked":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()

    def close(self) -> None:
        self._stream.close()
