# SPDX-License-Identifier: Apache-2.0
r"""DOTA text (DOTA 1.0, 1.5, 2.0, and the many sets converted to it): four corners a line.

    train/images/P0000.png               (or train/images/part1.zip/images/P0000.png)
    train/labelTxt-v1.5/DOTA-v1.5_train/P0000.txt
    train/labelTxt-v1.5/DOTA-v1.5_train_hbb/P0000.txt
    train/annotations/version1.5/P0000.txt      (TorchGeo's copy)

    imagesource:GoogleEarth
    gsd:0.146343590398
    x1 y1 x2 y2 x3 y3 x4 y4 class difficult

Corners are in pixels, in order around the box, and are kept as they are; `difficult` is 0, 1 or 2,
and all but 0 count as difficult. The header gives sensor and GSD (`null` for most pictures of
Google Earth). A label file is one that is called like an image, or that lies in a folder whose name
begins with labelTxt.

Where several files speak of one image, the one whose folders carry the card's `version` is taken,
without a version the highest; and oriented boxes (OBB) go before horizontal ones (folders with
`hbb`), unless the card's option `boxes` says `horizontal`.

Known faults: boxes without area (left out, named in the ledger with their line), boxes that reach
over the edge (kept), trailing blanks.
"""

import re
from dataclasses import replace

from rspipe.errors import ReaderError
from rspipe.readers.base import Listing
from rspipe.readers.boxes import UnusableBox, describe, from_corners
from rspipe.readers.gather import OPTIONS, Gathered, Said
from rspipe.readers.tree import FileTree
from rspipe.schema import Annotation, DatasetCard, Geography, ObjectBox

_HEADER = re.compile(r"\s*(imagesource|gsd)\s*:\s*(.*?)\s*$", re.IGNORECASE)
_VERSION = re.compile(r"(?:version|v)(\d+(?:\.\d+)?)", re.IGNORECASE)
# The class is a word: oriented YOLO has nine numbers.
_LINE = re.compile(r"\s*(?:[-+]?[\d.]+(?:e[-+]?\d+)?\s+){8}[a-z]", re.IGNORECASE)
_NO_WORDS = {"", "null", "none", "unknown"}


class Dota:
    """One text file per image, called like it."""

    name = "dota"
    options: tuple[str, ...] = OPTIONS

    def recognises(self, tree: FileTree) -> bool:
        """A folder whose name begins with labelTxt, or a text that begins like a label file."""
        labels = [path for path in tree.with_suffix(".txt") if _is_label_file(path, tree)]
        return any(_in_label_folder(path) for path in labels) or any(
            _LINE.match(line) or _HEADER.match(line)
            for path in labels[:8]
            for line in tree.read_text(path, 512).splitlines()[:3]
        )

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every label file, with their boxes."""
        gathered = Gathered(tree, card)
        labels = (
            path
            for path in tree.with_suffix(".txt")
            if path not in gathered.sidecars and _is_label_file(path, tree)
        )
        gathered.read_each(labels, lambda path: _read(tree, path, card))
        return gathered.listing()


def _read(tree: FileTree, path: str, card: DatasetCard) -> Said:
    said = parse_dota(tree.read_text(path))
    folders = path.rpartition("/")[0].lower()
    is_horizontal = "hbb" in folders
    if is_horizontal:
        flat = tuple(replace(box, corners=None) for box in said.annotation.boxes or ())
        said = replace(said, annotation=Annotation(boxes=flat))
    prefers_horizontal = card.options.get("boxes") == "horizontal"
    # The version first, then the kind of boxes.
    rank = 2 * _version_rank(folders, card) + int(is_horizontal == prefers_horizontal)
    return replace(said, rank=rank)


def _version_rank(folders: str, card: DatasetCard) -> int:
    """Rank the version in a path: the card's before all, then the higher ones."""
    found = _VERSION.findall(folders)
    if not found:
        return 0
    if card.version is not None and float(found[-1]) == _number(card.version):
        return 1_000_000
    return min(int(float(found[-1]) * 100), 999_999)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def parse_dota(text: str) -> Said:
    r"""Parse one label file.

    Raises:
        ReaderError: it has lines, and none of them is a box.

    >>> parse_dota("imagesource:x\ngsd:0.1\n0 0 4 0 4 2 0 2 ship 1").annotation.boxes[0].difficult
    True
    """
    boxes, unusable, header = [], [], {}
    for place, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        if head := _HEADER.match(line):
            header[head[1].lower()] = head[2]
        elif line.strip():
            try:
                boxes.append(_parse_line(line))
            except UnusableBox as error:
                unusable.append(f"line {place}: {error}")
    if unusable and not boxes:
        raise ReaderError(describe(tuple(unusable), 0))
    note = f"annotation; {describe(tuple(unusable), len(boxes))}" if unusable else "annotation"
    return Said(Annotation(boxes=tuple(boxes)), _geography(header), note)


def _parse_line(line: str) -> ObjectBox:
    words = line.split()
    if len(words) < 9:
        raise UnusableBox(f"is no DOTA box: {line.strip()[:80]!r}")
    difficult = len(words) > 9 and words[9] != "0"
    return from_corners(words[8], words[:8], difficult=difficult)


def _geography(header: dict[str, str]) -> Geography:
    source = header.get("imagesource", "")
    gsd_m = _number(header.get("gsd", ""))
    return Geography(
        gsd_m=gsd_m if gsd_m is not None and 0 < gsd_m < 1000 else None,
        sensor=None if source.lower() in _NO_WORDS else source,
    )


def _in_label_folder(path: str) -> bool:
    return any(part.startswith("labelTxt") for part in path.split("/")[:-1])


def _is_label_file(path: str, tree: FileTree) -> bool:
    return path.rpartition("/")[2][:-4] in tree.images_by_stem or _in_label_folder(path)
