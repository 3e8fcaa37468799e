# SPDX-License-Identifier: Apache-2.0
"""YOLO text, axis-aligned and oriented: one object a line, in shares of width and height.

    images/train/a.jpg    labels/train/a.txt        (Ultralytics)
    train/images/a.jpg    train/labels/a.txt        (Roboflow)
    a.jpg                 a.txt                     (darknet)
    data.yaml             names: [ship, plane] or {0: ship, 1: plane}
    classes.txt, obj.names                          one name a line

    class cx cy width height                        axis-aligned
    class x1 y1 x2 y2 x3 y3 x4 y4                   oriented: four corners in order
    class x1 y1 … xn yn                             an outline: the rectangle around it is taken

Numbers are shares of the image (0..1, from the outer edge of the first pixel). Readers touch no
image, so the boxes are marked `boxes_normalised` and become pixels in ingest and in the evaluators,
which know the size anyway: a reader that opened a million headers would read every file twice.

Names come from data.yaml, else classes.txt or *.names, else the card's `classes`; a class without a
name is called by its number. An empty label file says that there is no object; an image without one
says nothing. Splits are those of folders, or of the lists that darknet calls train.txt.

Known faults: numbers in pixels, or of a detector with its confidence (six columns): unusable, named
in the ledger with their line.
"""

from typing import Any

import yaml

from rspipe.readers.base import Listing
from rspipe.readers.boxes import UnusableBox, from_corners, horizontal, number, parse_each
from rspipe.readers.gather import OPTIONS, Gathered, Said, rank_of
from rspipe.readers.tree import FileTree
from rspipe.recipe import read_yaml
from rspipe.schema import Annotation, DatasetCard, ObjectBox

_NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt")
_SLACK = 0.01  # rounding lets boxes at the edge reach a little over it


class Yolo:
    """One text file per image, called like it."""

    name = "yolo"
    options: tuple[str, ...] = OPTIONS

    def recognises(self, tree: FileTree) -> bool:
        """One of the first label files with any object is written in shares of the image."""
        for path in tree.with_suffix(".txt"):
            if not _is_label_file(path, tree):
                continue
            lines = _lines(tree.read_text(path, 4096))
            if lines:
                return _is_usable(lines[0])
        return False

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every label file, with their boxes."""
        gathered = Gathered(tree, card)
        names = _names(gathered)
        labels = (
            path
            for path in tree.with_suffix(".txt")
            if path not in gathered.sidecars and _is_label_file(path, tree)
        )
        gathered.read_each(labels, lambda path: parse_yolo(tree.read_text(path), names, card))
        return gathered.listing()


def parse_yolo(text: str, names: dict[int, str], card: DatasetCard) -> Said:
    """Read one label file; boxes are shares of width and height.

    Raises:
        ReaderError: it has lines, and none of them is a box.
    """
    found = parse_each(_lines(text), lambda words: _parse_line(words, names), "line")
    return Said(
        Annotation(boxes=found.boxes, boxes_normalised=True),
        note=found.note(),
        rank=rank_of(found.boxes, card),
    )


def _lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.lstrip("\ufeff").splitlines() if line.strip()]


def _is_usable(words: list[str]) -> bool:
    try:
        _parse_line(words, {})
    except UnusableBox:
        return False
    return True


def _parse_line(words: list[str], names: dict[int, str]) -> ObjectBox:
    if not words[0].isdecimal() or len(words[0]) > 9:
        raise UnusableBox(f"{words[0][:40]!r} is no class number")
    label = names.get(int(words[0]), words[0])
    values = [number(word) for word in words[1:]]
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise UnusableBox(f"has {len(values)} numbers: neither a box nor an outline")
    if not all(-_SLACK <= v <= 1 + _SLACK for v in values):
        raise UnusableBox(f"{label!r} is not in shares of the image: {' '.join(words[1:5])}")
    if len(values) == 8:
        return from_corners(label, values)
    if len(values) == 4:
        cx, cy, width, height = values
        edges = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        return horizontal(label, edges)
    xs, ys = values[::2], values[1::2]
    return horizontal(label, (min(xs), min(ys), max(xs), max(ys)))


def _names(gathered: Gathered) -> dict[int, str]:
    """Read the names of classes, and note their files as sidecars."""
    tree, card = gathered.tree, gathered.card
    names = dict(enumerate(card.classes)) if isinstance(card.classes, tuple) else {}
    for path in tree.with_suffix(".txt", ".names", ".labels"):
        if path.rpartition("/")[2] in _NAME_FILES or path.endswith(".names"):
            lines = tree.read_text(path).splitlines()
            names |= {i: line.strip() for i, line in enumerate(lines) if line.strip()}
            gathered.sidecars[path] = "class names"
    for path in tree.with_suffix(".yaml", ".yml"):
        found = _names_in_yaml(tree.read_text(path, 2**20))
        if found is None:
            continue
        names |= found
        gathered.sidecars[path] = "class names"
    return names


def _names_in_yaml(text: str) -> dict[int, str] | None:
    """Return class number → name; None where the file names no classes."""
    try:
        data: Any = read_yaml(text)
        names = data.get("names") if isinstance(data, dict) else None
        pairs = enumerate(names) if isinstance(names, list) else dict(names or {}).items()
        return {int(i): str(name).strip() for i, name in pairs} or None
    except (yaml.YAMLError, RecursionError, TypeError, ValueError):
        return None


def _is_label_file(path: str, tree: FileTree) -> bool:
    name = path.rpartition("/")[2]
    return name[:-4] in tree.images_by_stem or (
        "labels" in path.split("/")[:-1] and name not in _NAME_FILES
    )
