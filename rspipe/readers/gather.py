# SPDX-License-Identifier: Apache-2.0
"""What the annotation files of a tree say, image by image: the best voice is heard, all are named.

Several files may speak of one image: horizontal and oriented boxes, three versions of a set. The
one of the highest rank is taken, what it leaves open is filled by the next; the ledger names each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rspipe.errors import ReaderError, RecipeError
from rspipe.readers.base import Listing, filled, split_in_path
from rspipe.readers.matching import ImageFinder
from rspipe.readers.parts import texts
from rspipe.readers.splits import read_split_lists
from rspipe.readers.tree import FileTree
from rspipe.schema import Annotation, DatasetCard, Geography, ImageRecord, ObjectBox

OPTIONS = ("split_lists", "images", "boxes")
"""Card options of every reader of annotation files.

split_lists: see `splits`. images: the folder that the images lie in, where names repeat. boxes:
`horizontal` or `oriented` (the default), which to take where files of both kinds speak of an image.
"""
NO_PLACE = Geography()


@dataclass(frozen=True)
class Said:
    """What one annotation file says of one image."""

    annotation: Annotation
    geography: Geography = NO_PLACE
    note: str = "annotation"
    """What the ledger says of the file."""
    rank: int = 0
    split: str | None = None
    file_name: str | None = None
    """Name of the image, where the file is called otherwise."""


class Gathered:
    """Collects what is said of the images of a tree."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        """Read the splits of a tree.

        Raises:
            RecipeError: an option of the card is wrong.
        """
        self.tree = tree
        self.card = card
        choice(card, "boxes", ("oriented", "horizontal"))
        self.splits = read_split_lists(tree, card)
        self.finder = ImageFinder(tree, texts(card, card.options, "images"))
        self.sidecars = dict(self.splits.sidecars)
        self.faults = dict(self.splits.faults)
        self._images: dict[str, ImageRecord] = {}
        self._voices: dict[str, tuple[int, str]] = {}
        self._outvoted: dict[str, str] = {}

    def read_each(self, paths: Iterable[str], parse: Callable[[str], Said | None]) -> None:
        """Read annotation files that speak of one image each.

        Args:
            paths: the files.
            parse: reads one of them; None if it is no annotation after all.
        """
        for path in paths:
            try:
                said = parse(path)
            except ReaderError as error:
                self.faults[path] = str(error)
                continue
            if said is not None:
                self._place(path, said)

    def _place(self, path: str, said: Said) -> None:
        found = self.finder.of_stem(path)
        if not found and said.file_name:
            found = self.finder.of_name(path, said.file_name)
        if len(found) == 1:
            self.sidecars[path] = said.note
            self.add(path, found[0], said)
        else:
            self.sidecars[path] = f"{said.note}; {why_unplaced(found)}"

    def add(self, source: str, image: str, said: Said) -> None:
        """Add what a file says of an image; the higher rank, or else the first, goes before.

        Args:
            source: the file, or any word for what is no file.
            image: path of the image.
            said: what is said of it.
        """
        record = ImageRecord(
            source_path=image,
            split=self.splits.listed(image) or said.split or split_in_path(image, self.card),
            annotation=said.annotation,
            geography=said.geography,
        )
        if image not in self._images:
            self._images[image], self._voices[image] = record, (said.rank, source)
            return
        rank, before = self._voices[image]
        first, second = (record, source), (self._images[image], before)
        if said.rank <= rank:
            first, second = second, first
        self._images[image] = filled(first[0], second[0])
        self._voices[image] = max(rank, said.rank), first[1]
        if second[1] != first[1] and second[0].annotation.boxes is not None:
            self._outvoted[second[1]] = first[1]

    def listing(self) -> Listing:
        """Return all that was gathered."""
        sidecars = dict(self.sidecars)
        for source, winner in self._outvoted.items():
            if source in sidecars:
                sidecars[source] += f"; {winner} goes before it"
        return Listing(self._images, sidecars, self.faults)


def why_unplaced(found: tuple[str, ...]) -> str:
    """Say why an annotation gets no image."""
    if not found:
        return "without an image"
    return (
        f"fits {len(found)} images alike ({found[0]}, {found[1]}): name their folder with the "
        "card's option images"
    )


def choice(card: DatasetCard, option: str, words: tuple[str, ...]) -> str:
    """Read an option that is one of some words, the first being the default.

    Raises:
        RecipeError: it is none of them.
    """
    word = card.options.get(option, words[0])
    if word not in words:
        raise RecipeError(
            f"card {card.name!r}: option {option} is {word!r}; want {' or '.join(words)}"
        )
    return str(word)


def told_names(what: str, names: list[str], n_all: int) -> list[str]:
    """Say what is the matter with some names of a file; nothing if there are none.

    >>> told_names("no image for", ["a.png", "b.png"], 9)
    ['no image for 2 of 9 names: a.png, …']
    """
    more = ", …" if len(names) > 1 else ""
    return [f"{what} {len(names):,} of {n_all:,} names: {names[0]}{more}"] if names else []


def rank_of(boxes: Iterable[ObjectBox], card: DatasetCard) -> int:
    """Rank boxes: the kind that the card's option `boxes` prefers, oriented by default."""
    oriented = any(box.corners is not None for box in boxes)
    return int(oriented == (card.options.get("boxes", "oriented") == "oriented"))
