# SPDX-License-Identifier: Apache-2.0
"""Which image an annotation speaks of, in trees of a million files: look-ups, never a search.

Names repeat: `train/0.jpg` and `val/0.jpg`, a picture and its mask, a folder and the archive it was
unpacked from. Of several candidates the one that lies nearest to the annotation is taken; where two
are equally near, none is: a box on the wrong picture is worse than no box.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from rspipe.io.containers import container_suffix
from rspipe.io.images import claims_image
from rspipe.readers.tree import FileTree

_CROWDED = 64  # candidates that are compared one by one
_MASK_FOLDER = re.compile(r"mask|segm|annot|label|^gt|instance_(color|id)", re.IGNORECASE)
_TOKEN = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)*")


class ImageFinder:
    """Finds the image of an annotation file, or of a name inside one."""

    def __init__(self, tree: FileTree, folders: Iterable[str] = ()) -> None:
        """Look in a tree.

        Args:
            tree: the dataset's files.
            folders: names of the folders that images must lie in or below; none: any.
        """
        self._tree = tree
        self._folders = frozenset(folders)
        self._crowds: dict[str, _Crowd] = {}

    def of_stem(self, annotation: str) -> tuple[str, ...]:
        """Find the image that is called like its annotation file.

        Returns:
            Nothing, the image, or several that are equally near.
        """
        stem = annotation.rpartition("/")[2].rpartition(".")[0]
        found = self._tree.images_by_stem.get(stem, ())
        if not found and claims_image(stem):  # a.png.xml
            found = self._tree.images_by_name.get(stem.lower(), ())
        return self._nearest(stem, found, annotation, ())

    def of_name(self, annotation: str, name: str) -> tuple[str, ...]:
        """Find the image that an annotation file names, with or without its folders.

        The suffix counts: a mask often differs from its picture in the suffix alone.

        Returns:
            As `of_stem`.
        """
        *folders, file = name.replace("\\", "/").split("/")
        found = self._tree.images_by_name.get(file.lower(), ())
        exact = tuple(path for path in found if path.rpartition("/")[2] == file)
        return self._nearest(file, exact or found, annotation, tuple(folders))

    def _nearest(
        self, key: str, found: tuple[str, ...], annotation: str, folders: tuple[str, ...]
    ) -> tuple[str, ...]:
        if self._folders:
            found = tuple(path for path in found if self._folders & {*path.split("/")[:-1]})
        if len(found) <= 1:
            return found
        if len(found) > _CROWDED:
            if key not in self._crowds:
                self._crowds[key] = _Crowd(found)
            found = self._crowds[key].near(annotation, folders)
        scored = [(_nearness(path, annotation, folders), path) for path in found]
        best = max(score for score, _ in scored)
        nearest = sorted(
            (path for score, path in scored if score == best), key=lambda p: (p.count("/"), p)
        )
        # The same picture, unpacked and still in its archive.
        copies = {plain_parts(path) for path in nearest}
        return tuple(nearest[:1] if len(copies) == 1 else nearest)


class _Crowd:
    """Images of one name, too many to compare one by one: by where their folders begin and end."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._under: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._ending: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for path in paths:
            parts = plain_parts(path)[:-1]
            for i in range(len(parts) + 1):
                self._under[parts[:i]].append(path)
                self._ending[parts[i:]].append(path)

    def near(self, annotation: str, folders: tuple[str, ...]) -> tuple[str, ...]:
        """Return those that share the longest end or beginning of the folders, if they are few."""
        parts = plain_parts(annotation)[:-1]
        ends = [self._longest(self._ending, f, from_end=True) for f in (folders, parts) if f]
        start = self._longest(self._under, parts, from_end=False)
        few = [paths for paths in (*ends, start) if len(paths) <= _CROWDED]
        return tuple(dict.fromkeys(path for paths in few for path in paths)) or tuple(start[:2])

    @staticmethod
    def _longest(
        index: dict[tuple[str, ...], list[str]], parts: tuple[str, ...], *, from_end: bool
    ) -> list[str]:
        for i in range(len(parts) + 1):
            part = parts[i:] if from_end else parts[: len(parts) - i]
            if part in index:
                return index[part]
        return []


@lru_cache(maxsize=2**16)
def _is_container(part: str) -> bool:
    return container_suffix(part) is not None


def plain_parts(path: str) -> tuple[str, ...]:
    """Split a path, leaving out the containers it goes through.

    >>> plain_parts("part1.zip/images/a.png")
    ('images', 'a.png')
    """
    parts = path.split("/")
    return (*(p for p in parts[:-1] if not _is_container(p)), parts[-1])


def _nearness(image: str, annotation: str, folders: tuple[str, ...]) -> tuple[int, ...]:
    """Rank a candidate, best highest.

    A picture before a mask; then the folders that the annotation itself names; then the longest
    common beginning and end, the same archive or none, and the words that both paths have in
    common.
    """
    ours, theirs = plain_parts(image)[:-1], plain_parts(annotation)[:-1]
    return (
        -int(_MASK_FOLDER.search("/".join(ours[-1:])) is not None),
        _shared(ours[::-1], folders[::-1]),
        _shared(ours, theirs),
        _shared(ours[::-1], theirs[::-1]),
        _shared(tuple(image.split("/")), tuple(annotation.split("/"))),
        len(_words(image) & _words(annotation)),
    )


def _shared(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def _words(path: str) -> set[str]:
    return set(_TOKEN.findall(path.rpartition("/")[0].lower()))
