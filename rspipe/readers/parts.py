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
from functools import cache
from typing import Any

from rspipe.errors import RecipeError
from rspipe.readers.base import pattern, without_container
from rspipe.schema import DatasetCard

Key = tuple[str, ...]
HERE = "."
"""A folder that is none: files lie where the part's own folder would be."""


@dataclass(frozen=True)
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
        patterns: regular expressions, searched in the path, instead of both; the groups are the key.
    """

    def __init__(
        self,
        folders: Sequence[str] = (HERE,),
        suffixes: Sequence[str] = ("",),
        patterns: Sequence[re.Pattern[str]] = (),
    ) -> None:
        self._folders = [tuple(f.lower().split("/")) for f in folders]
        self._suffixes = list(enumerate(suffixes))
        self._patterns = tuple(patterns)
        # One answer per folder: a tree has far fewer folders than files.
        self._place = cache(self._find_place)

    def role_of(self, path: str) -> Role | None:
        """Tell the part that a file plays, or None."""
        if self._patterns:
            return self._matched(path)
        folder, _, name = path.rpartition("/")
        place = self._place(folder)
        stem = name.rpartition(".")[0] or name
        fitting = [(len(s), rank, s) for rank, s in self._suffixes if stem.endswith(s)]
        if place is None or not fitting:
            return None
        length, suffix_rank, _ = max(fitting, key=lambda fit: fit[0])
        where, folder_rank, depth = place
        key = (where, stem[: len(stem) - length])
        return Role(key, folder_rank * len(self._suffixes) + suffix_rank, (length, depth))

    def _matched(self, path: str) -> Role | None:
        for rank, expression in enumerate(self._patterns):
            match = expression.search(path)
            if match:
                return Role(tuple(g or "" for g in match.groups()), rank, (len(path), 0))
        return None

    def _find_place(self, folder: str) -> tuple[str, int, int] | None:
        """Where a folder lies without the part's own folder; rank and depth of that one."""
        parts = [without_container(part).lower() for part in folder.split("/") if part]
        best: tuple[int, int, tuple[str, ...]] | None = None
        for rank, wanted in enumerate(self._folders):
            depth = _last_index(parts, wanted)
            if depth >= 0 and (best is None or depth > best[0]):
                best = (depth, rank, wanted)
        if best is not None:
            depth, rank, wanted = best
            rest = [p for p in parts[:depth] if p != wanted[0]] + parts[depth + len(wanted) :]
            return "/".join(rest), rank, depth
        if (HERE,) in self._folders:
            return "/".join(parts), self._folders.index((HERE,)), -1
        return None


def _last_index(parts: Sequence[str], wanted: Key) -> int:
    """Position of the last run of folders that are the wanted ones; -1 if there is none."""
    size = len(wanted)
    starts = range(len(parts) - size, -1, -1)
    return next((i for i in starts if tuple(parts[i : i + size]) == wanted), -1)


def part(card: DatasetCard, options: Mapping[str, Any], name: str, plural: str) -> Part:
    """Build a part from a card's options: `images`, `image_suffix`, `image_pattern` and the like.

    Args:
        card: for the error message.
        options: the card's options, or one entry of a list of them.
        name: how the part's options begin, e.g. image.
        plural: option that names its folders, e.g. images.

    Raises:
        RecipeError: a broken regular expression, or a value that is no text or list of texts.
    """
    patterns = [pattern(card, text) for text in texts(card, options, f"{name}_pattern")]
    return Part(
        texts(card, options, plural) or (HERE,),
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


@dataclass(frozen=True)
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
