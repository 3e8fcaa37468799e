"""Pascal VOC XML, horizontal and oriented (DIOR, DIOR-R, HIT-UAV …).

An object carries `bndbox` (xmin, ymin, xmax, ymax), or `robndbox` either as cx, cy, w, h, angle
(radians, clockwise in image axes) or as four named corners (DIOR-R). Where a horizontal and an
oriented file speak of one image, the oriented one is taken: its envelope is the horizontal box.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from rspipe.errors import ReaderError
from rspipe.readers.base import SPLIT_NAMES, Listing, record
from rspipe.readers.boxes import corners_from_angle, from_corners
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, ObjectBox

_CORNERS = ("left_top", "right_top", "right_bottom", "left_bottom")


class Voc:
    """One XML file per image, matched by stem; splits from `ImageSets/**/*.txt`."""

    name = "voc"
    options: tuple[str, ...] = ()

    def recognises(self, tree: FileTree) -> bool:
        """The first XML files are VOC annotations."""
        return any("<annotation" in tree.read_text(p)[:500] for p in tree.with_suffix(".xml")[:3])

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every annotation file, with their boxes."""
        splits = _read_splits(tree)
        images, sidecars, faults = {}, {}, {}
        oriented: set[str] = set()
        for path in tree.with_suffix(".xml"):
            try:
                boxes = parse_voc(tree.read_text(path))
            except ReaderError as error:
                faults[path] = str(error)
                continue
            sidecars[path] = "annotation"
            image = _image_of(path, tree)
            if image is None:
                sidecars[path] = "annotation without an image"
                continue
            has_corners = any(box.corners for box in boxes)
            if image in images and (not has_corners or image in oriented):
                continue
            oriented |= {image} if has_corners else set()
            split = splits.get(PurePosixPath(path).stem)
            images[image] = record(image, card, split, boxes=boxes)
        sidecars.update(
            dict.fromkeys((p for p in tree.with_suffix(".txt") if "ImageSets" in p), "split list")
        )
        return Listing(images, sidecars, faults)


def parse_voc(text: str) -> tuple[ObjectBox, ...]:
    """Parse one VOC file into boxes, in pixels.

    Raises:
        ReaderError: not XML, or an object without a usable box.
    """
    try:
        root = fromstring(text)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise ReaderError(f"not valid XML: {error}") from error
    return tuple(_parse_object(node) for node in root.iter("object"))


def _parse_object(node: Any) -> ObjectBox:
    label = (node.findtext("name") or "").strip()
    difficult = (node.findtext("difficult") or "0").strip() == "1"
    try:
        rotated = node.find("robndbox")
        if rotated is not None:
            return from_corners(label, _rotated_corners(rotated), difficult=difficult)
        flat = node.find("bndbox")
        x0, y0, x1, y1 = (float(flat.findtext(k)) for k in ("xmin", "ymin", "xmax", "ymax"))
    except (AttributeError, TypeError, ValueError) as error:
        raise ReaderError(f"object {label!r} has no usable box") from error
    return ObjectBox(label=label, x0=x0, y0=y0, x1=x1, y1=y1, difficult=difficult)


def _rotated_corners(node: Any) -> tuple[float, ...]:
    if node.find("cx") is not None:
        cx, cy, w, h, angle = (float(node.findtext(k)) for k in ("cx", "cy", "w", "h", "angle"))
        return corners_from_angle(cx, cy, w, h, angle)
    return tuple(float(node.findtext(f"{axis}_{c}")) for c in _CORNERS for axis in ("x", "y"))


def _image_of(path: str, tree: FileTree) -> str | None:
    """Find the image of an annotation: same stem, the nearest in the tree."""
    candidates = tree.images_by_stem.get(PurePosixPath(path).stem, ())
    return max(candidates, key=lambda image: _shared_parents(image, path), default=None)


def _shared_parents(a: str, b: str) -> int:
    pairs = zip(a.split("/"), b.split("/"), strict=False)
    return next((i for i, (x, y) in enumerate(pairs) if x != y), 0)


def _read_splits(tree: FileTree) -> dict[str, str]:
    """Read stem → split; a `trainval` list gives way to the finer ones."""
    found: dict[str, str] = {}
    lists = [p for p in tree.with_suffix(".txt") if "ImageSets" in p]
    for path in sorted(lists, key=lambda p: PurePosixPath(p).stem == "trainval"):
        split = PurePosixPath(path).stem
        if split not in SPLIT_NAMES:
            continue
        for line in _stems(tree.read_text(path).splitlines()):
            found.setdefault(line, split)
    return found


def _stems(lines: Iterable[str]) -> Iterable[str]:
    # "name", "name.jpg" and "name 1" (VOC's per-class lists) all occur.
    return (PurePosixPath(line.split()[0]).stem for line in lines if line.strip())
