# SPDX-License-Identifier: Apache-2.0
"""Pascal VOC XML, horizontal and oriented (DIOR, DIOR-R, HIT-UAV, RSOD, HRRSD, ShipRSImageNet …).

    JPEGImages/00001.jpg            (or JPEGImages-trainval/, Images/trainval/, …)
    Annotations/00001.xml           (or Annotations/Oriented Bounding Boxes/, Annotations/trainval/)
    ImageSets/Main/{train,val,test}.txt
    SegmentationClass/00001.png     where there are masks

Of each object: `name`, `difficult`, `truncated` (0 or 1), and a box in one of these forms:

- `bndbox` with xmin, ymin, xmax, ymax;
- `robndbox` with cx, cy, w, h, angle (radians, clockwise in image axes, as roLabelImg writes it);
- `robndbox` with x_left_top, y_left_top, … in the order left_top, right_top, right_bottom,
  left_bottom (DIOR-R);
- `polygon` or `bndbox` with x1, y1 … x4, y4 (ShipRSImageNet), or x0, y0 … x3, y3.

Where a horizontal and an oriented file speak of one image, the oriented one is taken, unless the
card's option `boxes` says `horizontal` (DIOR, whose envelopes of oriented boxes are other boxes).

An object's `description` (DIOR-RSVG) is a caption of its image.

Pixels: VOC itself counts from 1 and includes the last pixel; most aerial sets write edges, and few
say which. So numbers are kept as they are, as edges, unless the card says `one_based: true`: then
xmin - 1 and ymin - 1 are the near edges, xmax and ymax the far ones, and a box of one pixel has an
area. Sets whose angles are degrees say `angle_unit: degrees`.

Known faults: boxes without area (left out, named in the ledger); boxes that reach over the edge
(kept); a `size` of zero or of another image (not used).
"""

import math
from typing import Any

from rspipe.readers.base import Listing
from rspipe.readers.boxes import (
    UnusableBox,
    corners_from_angle,
    from_corners,
    horizontal,
    number,
    parse_each,
)
from rspipe.readers.gather import OPTIONS, Gathered, Said, choice, rank_of
from rspipe.readers.tree import FileTree
from rspipe.readers.xml_files import load_xml, text_of
from rspipe.schema import Annotation, DatasetCard, ImageRecord, ObjectBox

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_CENTRE = ("cx", "cy", "w", "h", "angle")
_NAMED_CORNERS = tuple(
    f"{axis}_{corner}"
    for corner in ("left_top", "right_top", "right_bottom", "left_bottom")
    for axis in ("x", "y")
)
_CORNERS_FROM_1 = tuple(f"{axis}{i}" for i in (1, 2, 3, 4) for axis in ("x", "y"))
_CORNERS_FROM_0 = tuple(f"{axis}{i}" for i in (0, 1, 2, 3) for axis in ("x", "y"))
_BOX_TAGS = ("robndbox", "polygon", "bndbox")
_MASK_FOLDERS = {"SegmentationClass": "mask", "SegmentationObject": "instance mask"}


class Voc:
    """One XML file per image, called like it."""

    name = "voc"
    options: tuple[str, ...] = (*OPTIONS, "one_based", "angle_unit")

    def recognises(self, tree: FileTree) -> bool:
        """One of the first XML files is a VOC annotation."""
        return any("<annotation" in tree.read_text(p, 512) for p in tree.with_suffix(".xml")[:8])

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every annotation file, with their boxes and masks."""
        gathered = Gathered(tree, card)
        choice(card, "angle_unit", ("radians", "degrees"))
        gathered.read_each(
            tree.with_suffix(".xml"), lambda path: parse_voc(load_xml(tree, path), card)
        )
        return _with_masks(gathered)


def parse_voc(root: Any, card: DatasetCard) -> Said | None:
    """Read the root element of an annotation file; None if it is none.

    Raises:
        ReaderError: none of its objects can be used.
    """
    if root.tag != "annotation":
        return None
    found = parse_each(root.iter("object"), lambda node: _parse_object(node, card))
    texts = [text_of(node, "description") for node in root.iter("object")]
    return Said(
        Annotation(boxes=found.boxes, caption="\n".join(filter(None, texts)) or None),
        note=found.note(),
        rank=rank_of(found.boxes, card),
        file_name=text_of(root, "filename"),
    )


def _parse_object(node: Any, card: DatasetCard) -> ObjectBox:
    label = text_of(node, "name")
    if label is None:
        raise UnusableBox("has no name")
    flags = {key: text_of(node, key) == "1" for key in ("difficult", "truncated")}
    box = next((b for tag in _BOX_TAGS if (b := node.find(tag)) is not None and len(b)), None)
    if box is None:
        raise UnusableBox(f"{label!r} has no usable box")
    values = {child.tag: child.text for child in box}
    first = 1.0 if card.options.get("one_based") else 0.0
    if _EDGES[0] in values:
        x0, y0, x1, y1 = (number(values.get(key)) for key in _EDGES)
        return horizontal(label, (x0 - first, y0 - first, x1, y1), **flags)
    # Points have no extent: a count from 1 moves them all.
    return from_corners(label, [c - first for c in _corners(values, card)], **flags)


def _corners(values: dict[str, str | None], card: DatasetCard) -> tuple[float, ...]:
    if _CENTRE[0] in values:
        cx, cy, w, h, angle = (number(values.get(key)) for key in _CENTRE)
        degrees = card.options.get("angle_unit") == "degrees"
        return corners_from_angle(cx, cy, w, h, math.radians(angle) if degrees else angle)
    for keys in (_NAMED_CORNERS, _CORNERS_FROM_0, _CORNERS_FROM_1):
        if keys[0] in values:
            return tuple(number(values.get(key)) for key in keys)
    raise UnusableBox(f"has a box of an unknown form: {', '.join(values)}")


def _with_masks(gathered: Gathered) -> Listing:
    """Give images the masks that lie in VOC's mask folders, which are no images themselves."""
    listing = gathered.listing()
    images, sidecars = dict(listing.images), dict(listing.sidecars)
    for path in gathered.tree.image_paths:
        folder = path.rpartition("/")[0].rpartition("/")[2]
        if folder not in _MASK_FOLDERS or path in images:
            continue
        sidecars[path] = _MASK_FOLDERS[folder]
        found = gathered.finder.of_stem(path)
        if folder == "SegmentationClass" and len(found) == 1 and found[0] in images:
            images[found[0]] = _masked(images[found[0]], path)
    return Listing(images, sidecars, listing.faults)


def _masked(image: ImageRecord, mask: str) -> ImageRecord:
    annotation = image.annotation.model_copy(update={"mask_path": mask})
    return image.model_copy(update={"annotation": annotation})
