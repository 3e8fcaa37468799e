# SPDX-License-Identifier: Apache-2.0
"""FAIR1M XML: oriented boxes of ships, planes, vehicles, courts and roads, by fine class.

    train/part1/images/0.tif             train/part1/labelXml/0.xml
    validation/images/0.tif              validation/labelXml/0.xml
    test/images/0.tif                    (no labels are published)

or the same in archives (`train/part1/labelXml.zip/labelXml/0.xml`). File names repeat in every
folder, so an annotation goes to the image of its own part.

Of each `object`: `possibleresult/name` (the class, with blanks: "Liquid Cargo Ship") and `points`
of five `point` elements "x,y" in pixels, in order around the box, the last being the first again.
Numbers are kept as they are. `source/origin` (GF2/GF3, GoogleEarth) becomes the sensor.

Known faults: boxes that reach over the edge (kept). Objects whose `coordinate` is not `pixel` are
left out, and named.
"""

from typing import Any

from rspipe.readers.base import Listing
from rspipe.readers.boxes import UnusableBox, from_corners, parse_each
from rspipe.readers.gather import OPTIONS, Gathered, Said, rank_of
from rspipe.readers.tree import FileTree
from rspipe.readers.xml_files import load_xml, text_of
from rspipe.schema import Annotation, DatasetCard, Geography, ObjectBox


class Fair1m:
    """One XML file per image, called like it."""

    name = "fair1m"
    options: tuple[str, ...] = OPTIONS

    def recognises(self, tree: FileTree) -> bool:
        """One of the first XML files is of this dialect."""
        heads = (tree.read_text(path, 2**14) for path in tree.with_suffix(".xml")[:8])
        return any("<possibleresult>" in head and "<points>" in head for head in heads)

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every annotation file, with their boxes."""
        gathered = Gathered(tree, card)
        gathered.read_each(
            tree.with_suffix(".xml"), lambda path: parse_fair1m(load_xml(tree, path), card)
        )
        return gathered.listing()


def parse_fair1m(root: Any, card: DatasetCard) -> Said | None:
    """Read the root element of an annotation file; None if it is none.

    Raises:
        ReaderError: none of its objects can be used.
    """
    if root.tag != "annotation":
        return None
    found = parse_each(root.iter("object"), _parse_object)
    return Said(
        Annotation(boxes=found.boxes),
        Geography(sensor=text_of(root, "source/origin")),
        note=found.note(),
        rank=rank_of(found.boxes, card),
    )


def _parse_object(node: Any) -> ObjectBox:
    label = text_of(node, "possibleresult/name")
    if label is None:
        raise UnusableBox("has no name")
    coordinate = text_of(node, "coordinate") or "pixel"
    if coordinate.lower() != "pixel":
        raise UnusableBox(f"{label!r} is in coordinates {coordinate!r}, not pixels")
    points = [(point.text or "").split(",") for point in node.iter("point")]
    if len(points) == 5 and points[0] == points[-1]:
        points.pop()
    return from_corners(label, [value for point in points for value in point])
