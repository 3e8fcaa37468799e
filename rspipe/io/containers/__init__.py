# SPDX-License-Identifier: Apache-2.0
"""Containers: files that hold files. `CONTAINERS` is the whole list, by suffix."""

from collections.abc import Callable
from typing import BinaryIO

from rspipe.io.containers.base import Container, Member
from rspipe.io.containers.parquet_file import ParquetContainer
from rspipe.io.containers.tar_file import COMPRESSED_SUFFIXES, TarContainer
from rspipe.io.containers.zip_file import ZipContainer

__all__ = [
    "CONTAINERS",
    "Container",
    "Member",
    "ParquetContainer",
    "compression_of",
    "container_suffix",
]

CONTAINERS: dict[str, Callable[[BinaryIO, str], Container]] = {
    ".zip": ZipContainer,
    ".tar": TarContainer,
    ".parquet": ParquetContainer,
    ".tar.gz": TarContainer,
    ".tgz": TarContainer,
    ".tar.bz2": TarContainer,
    ".tbz2": TarContainer,
    ".tar.xz": TarContainer,
    ".txz": TarContainer,
}


def container_suffix(name: str) -> str | None:
    """Return the suffix by which a file name is a container's, if it is.

    >>> container_suffix("train/Images.TAR.GZ"), container_suffix("a.png")
    ('.tar.gz', None)
    """
    lower = name.lower()
    return next((s for s in CONTAINERS if lower.endswith(s) and lower != s), None)


def compression_of(suffix: str) -> str | None:
    """Return the compression of a tar suffix, or None for what can be read in place.

    >>> compression_of(".tar.gz"), compression_of(".tar")
    ('.gz', None)
    """
    return next((s for s in COMPRESSED_SUFFIXES if suffix.endswith(s)), None)
