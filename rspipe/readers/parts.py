# SPDX-License-Identifier: Apache-2.0
"""Parts of a dataset (its images, its masks, its `before` pictures) and what belongs together.

A card says which files play a part, by folder and suffix or by a regular expression; files with one
key belong together. A key is made of what the parts have in common: the path without the part's own
folder, the name without the part's own suffix, or the groups of the regular expression. So no two
files are brought together because their names merely resemble each other, and all is found by
look-up, however many files there are.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from rspipe.errors import RecipeError
from rspipe.readers.base import pattern, without_container
from rspipe.schema import DatasetCard

Key = tuple[str, ...]
HERE = "."
"""A folder that is none: files lie where the part's own folder would be."""
_MOST_FOLDERS = 65_536


@dataclass(frozen=True, slots=True)
class Role:
    """The part that a file plays."""

    key: Key
    """What it shares with the files that belong to it."""
    rank: int
    """Position of its folder, suffix or pattern in the card's order of preference; 0 is best."""
    sureness: tuple[int, int]
    """Length of the suffix and depth of the folder by which it was told; (0, -1) if by nothing."""


class Part:
    """Which files play one part.

    Args:
        folders: names (or the ends of paths, `geojson/buildings`) of the folders that hold them, in
            order of preference, whatever their case; HERE for files outside any such folder.
        suffixes: ends of their names before the file suffix, in order of preference.
        patterns: regular expressions, searched in the path, instead of both; groups are the key.
    """

    def __init__(
        self,
        folders: Sequence[str] = (HERE,),
        suffixes: Sequence[str] = ("",),
        patterns: Sequence[re.Pattern[str]] = (),
    ) -> None:
        self._places = _places(tuple(folders))
        self._suffixes = list(enumerate(suffixes))
        self._patterns = tuple(patterns)

    def role_of(self, path: str) -> Role | None:
        """Tell the part that a file plays, or None."""
        if self._patterns:
            return self._matched(path)
        folder, _, name = path.rpartition("/")
        place = self._places.find(folder)
        if place is None:
            return None
        stem = name.rpartition(".")[0] or name
        fitting = [(len(s), rank) for rank, s in self._suffixes if stem.endswith(s)]
        if not fitting:
            return None
        length, rank = max(fitting, key=lambda fit: fit[0])
        key = (place.rest, stem[: len(stem) - length])
        return Role(key, place.rank * len(self._suffixes) + rank, (length, place.depth))

    def _matched(self, path: str) -> Role | None:
        for rank, expression in enumerate(self._patterns):
            match = expression.search(path)
            if match:
                return Role(tuple(g or "" for g in match.groups()), rank, (len(path), 0))
        return None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a folder lies, apart from the part's own folder."""

    rest: str
    rank: int
    depth: int


class _Places:
    """The folders of a part, looked up by the last of their names."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._by_last: dict[str, list[tuple[int, Key]]] = defaultdict(list)
        for rank, folder in enumerate(folders):
            names = tuple(folder.lower().split("/"))
            self._by_last[names[-1]].append((rank, names))
        self._here = folders.index(HERE) if HERE in folders else None
        # One answer per folder: most trees have far fewer folders than files.
        self.find = lru_cache(maxsize=_MOST_FOLDERS)(self._find)

    def _find(self, folder: str) -> _Place | None:
        names = [without_container(name) for name in folder.lower().split("/") if name]
        for end in range(len(names), 0, -1):
            for rank, wanted in self._by_last.get(names[end - 1], ()):
                start = end - len(wanted)
                if start >= 0 and tuple(names[start:end]) == wanted:
                    # images.zip/images/a.png lies where images/a.png does.
                    above = [name for name in names[:start] if name != wanted[0]]
                    return _Place("/".join(above + names[end:]), rank, start)
        return None if self._here is None else _Place("/".join(names), self._here, -1)


@cache
def _places(folders: tuple[str, ...]) -> _Places:
    return _Places(folders)


def part(
    card: DatasetCard,
    options: Mapping[str, Any],
    name: str,
    plural: str,
    folders: Sequence[str] = (HERE,),
) -> Part:
    """Build a part from a card's options: `images`, `image_suffix`, `image_pattern` and the like.

    Args:
        card: for the error message.
        options: the card's options, or one entry of a list of them.
        name: how the part's options begin, e.g. image.
        plural: option that names its folders, e.g. images.
        folders: its folders where the card names none.

    Raises:
        RecipeError: a broken regular expression, or a value that is no text or list of texts.
    """
    patterns = [pattern(card, text) for text in texts(card, options, f"{name}_pattern")]
    return Part(
        texts(card, options, plural) or folders,
        texts(card, options, f"{name}_suffix") or ("",),
        patterns,
    )


def texts(card: DatasetCard, options: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Read an option that is one text or a list of texts; () where it is absent.

    Raises:
        RecipeError: it is something else.
    """
    value = options.get(key, ())
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
        raise RecipeError(f"card {card.name!r}: option {key} is {value!r}; want a text or a list")
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Member:
    """A file with the role it plays."""

    path: str
    role: Role


def gather(members: Iterable[Member]) -> dict[Key, list[Member]]:
    """Group files by key, the preferred ones first."""
    found: dict[Key, list[Member]] = defaultdict(list)
    for member in members:
        found[member.role.key].append(member)
    for group in found.values():
        group.sort(key=lambda member: (member.role.rank, member.path))
    return dict(found)


def assign(paths: Iterable[str], parts: Sequence[Part]) -> list[dict[Key, list[Member]]]:
    """Give each file to the part that it plays most surely, at a tie to the last: groups by part.

    Files that play no part are left out.
    """
    members: list[list[Member]] = [[] for _ in parts]
    for path in paths:
        roles = [(role.sureness, i, role) for i, p in enumerate(parts) if (role := p.role_of(path))]
        if roles:
            _, i, role = max(roles, key=lambda found: found[:2])
            members[i].append(Member(path, role))
    return [gather(found) for found in members]


def choose(
    members: Sequence[Member], what: str, sidecars: dict[str, str], faults: dict[str, str]
) -> str | None:
    """Choose the preferred file of a key; of two equally preferred ones none, and both are faults.

    Args:
        members: files of one key, the preferred ones first.
        what: what they are, for the reasons.
        sidecars: gets the lesser files.
        faults: gets the files that contradict each other.
    """
    best = members[0]
    equal = [m.path for m in members if m.role.rank == best.role.rank]
    sidecars.update((m.path, f"another {what} beside {best.path}") for m in members[len(equal) :])
    if len(equal) == 1:
        return best.path
    for path in equal:
        other = equal[1] if path == equal[0] else equal[0]
        faults[path] = f"two {what}s of one key, this and {other}: say in the card which counts"
    return None
