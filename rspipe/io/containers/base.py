# SPDX-License-Identifier: Apache-2.0
"""What a container is: one file whose members are files (zip, tar) or pictures (Parquet).

A container is read where it lies and never unpacked by its members' names, so no name, link or
device in it can touch the file system. What is wrong with a member is said in its `fault`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

BOMB_FREE_BYTES = 256 * 2**20
"""Members up to this size are never called bombs."""
BOMB_RATIO = 250
"""Above that size, unpacked bytes per packed byte that no picture reaches (deflate: up to 1032)."""


@dataclass(frozen=True)
class Member:
    """One file in a container."""

    name: str
    """Posix path in the container."""
    size_bytes: int
    """As the container declares it; 0 where it does not say (Parquet)."""
    fault: str | None = None
    """Why it must not be read."""


class Container(Protocol):
    """An open container."""

    def members(self) -> tuple[Member, ...]:
        """List all members, faulty ones too, in the container's order.

        Raises:
            UnreadableImage: the container is broken.
        """

    def open(self, name: str) -> BinaryIO:
        """Open a member for reading.

        Raises:
            UnreadableImage: no such member, or it is faulty or broken.
        """

    def close(self) -> None:
        """Let go of the file."""


def fault_of_name(name: str) -> str | None:
    """Say what is wrong with a member's name, if anything.

    >>> fault_of_name("a/../../b.png")
    "an unsafe name: '..' leaves its folder"
    >>> fault_of_name("a/b.png") is None
    True
    """
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name:
        return "an unsafe name: empty or with a zero byte"
    if parts[0] == "/" or name[1:2] == ":" or name.startswith("\\"):
        return "an unsafe name: an absolute path"
    if ".." in parts or ".." in name.split("\\"):
        return "an unsafe name: '..' leaves its folder"
    return None


def fault_of_size(size_bytes: int, packed_bytes: int) -> str | None:
    """Say that a member unpacks to more than a picture can.

    >>> fault_of_size(10_000_000_000, 10_000_000)
    'an archive bomb: 10,000,000,000 bytes out of 10,000,000'
    """
    if size_bytes > BOMB_FREE_BYTES and size_bytes > BOMB_RATIO * max(packed_bytes, 1):
        return f"an archive bomb: {size_bytes:,} bytes out of {packed_bytes:,}"
    return None


def without_doubles(members: Iterable[Member]) -> tuple[Member, ...]:
    """Mark every later member of a name as faulty: which of them is meant cannot be known."""
    seen: set[str] = set()
    found = []
    for member in members:
        fault = member.fault
        if fault is None and member.name in seen:
            fault = "a second member of this name"
        seen.add(member.name)
        found.append(Member(member.name, member.size_bytes, fault))
    return tuple(found)
