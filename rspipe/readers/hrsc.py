# SPDX-License-Identifier: Apache-2.0
"""HRSC2016: ships in ports, oriented boxes in an XML dialect of its own.

    Train/AllImages/100000001.bmp        Train/Annotations/100000001.xml
    Test/AllImages/100000006.bmp         Test/Annotations/100000006.xml
    FullDataSet/{AllImages,Annotations,Segmentations,LandMask}/…, FullDataSet/sysdata.xml
    ImageSets/{train,val,trainval,test}.txt

Of each `HRSC_Object`: mbox_cx, mbox_cy, mbox_w, mbox_h in pixels and mbox_ang in radians, clockwise
in image axes; box_xmin … box_ymax are the rectangle around it and are used where mbox is missing.
Numbers are kept as they are. `Class_ID` becomes the English name that `sysdata.xml` gives it, else
the name that the card's `classes` (a mapping name → id) gives it, else the number. The card's
option `one_class` (`ship`, the set's first level, on which most papers report) names all alike.

The header gives GSD (`Img_Resolution`) and date. Known fault: `Img_Location` lacks the sign of the
longitude (San Diego stands at 32.66, 117.12, which is in China), so no place is taken from it.
"""

import re
from typing import Any

from rspipe.errors import ReaderError
from rspipe.readers.base import Listing
from rspipe.readers.boxes import (
    class_names,
    corners_from_angle,
    from_corners,
    horizontal,
    number,
    parse_each,
)
from rspipe.readers.gather import OPTIONS, Gathered, Said, rank_of
from rspipe.readers.tree import FileTree
from rspipe.readers.xml_files import load_xml, text_of
from rspipe.schema import Annotation, DatasetCard, Geography, ObjectBox

_MBOX = ("mbox_cx", "mbox_cy", "mbox_w", "mbox_h", "mbox_ang")
_EDGES = ("box_xmin", "box_ymin", "box_xmax", "box_ymax")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MASK_FOLDERS = {"Segmentations": "instance mask", "LandMask": "land mask"}


class Hrsc:
    """One XML file per image, called like it."""

    name = "hrsc"
    options: tuple[str, ...] = (*OPTIONS, "one_class")

    def recognises(self, tree: FileTree) -> bool:
        """One of the first XML files is of this dialect."""
        return any("<HRSC_Image" in tree.read_text(p, 512) for p in tree.with_suffix(".xml")[:8])

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every annotation file, with their boxes."""
        gathered = Gathered(tree, card)
        names = class_names(card) | _sysdata(gathered)
        gathered.read_each(
            tree.with_suffix(".xml"), lambda path: parse_hrsc(load_xml(tree, path), names, card)
        )
        for path in tree.image_paths:
            what = _MASK_FOLDERS.get(path.rpartition("/")[0].rpartition("/")[2])
            if what is not None:
                gathered.sidecars[path] = what
        return gathered.listing()


def parse_hrsc(root: Any, names: dict[str, str], card: DatasetCard) -> Said | None:
    """Read the root element of an annotation file; None if it is none.

    Raises:
        ReaderError: none of its objects can be used.
    """
    if root.tag != "HRSC_Image":
        return None
    one_class = card.options.get("one_class")

    def parse(node: Any) -> ObjectBox:
        class_id = text_of(node, "Class_ID") or "unknown"
        label = str(one_class) if one_class else names.get(class_id, class_id)
        flags = {key: text_of(node, key) == "1" for key in ("difficult", "truncated")}
        if node.find(_MBOX[0]) is None:
            return horizontal(label, [node.findtext(key) for key in _EDGES], **flags)
        cx, cy, w, h, angle = (number(node.findtext(key)) for key in _MBOX)
        return from_corners(label, corners_from_angle(cx, cy, w, h, angle), **flags)

    found = parse_each(root.iter("HRSC_Object"), parse)
    return Said(
        Annotation(boxes=found.boxes),
        _header(root),
        note=found.note(),
        rank=rank_of(found.boxes, card),
    )


def _header(root: Any) -> Geography:
    try:
        gsd_m = float(root.findtext("Img_Resolution"))
    except (TypeError, ValueError):
        gsd_m = 0.0
    date = _DATE.match(text_of(root, "Img_Date") or "")
    return Geography(
        gsd_m=gsd_m if 0 < gsd_m < 1000 else None, acquired=date.group() if date else None
    )


def _sysdata(gathered: Gathered) -> dict[str, str]:
    """Read class id → English name from the set's own table, if it is there."""
    names: dict[str, str] = {}
    for path in gathered.tree.with_suffix(".xml"):
        if path.rpartition("/")[2].lower() != "sysdata.xml":
            continue
        try:
            root = load_xml(gathered.tree, path)
        except ReaderError as error:
            gathered.faults[path] = str(error)
            continue
        gathered.sidecars[path] = "class names"
        pairs = (
            (text_of(n, "Class_ID"), text_of(n, "Class_EngName")) for n in root.iter("HRSC_Class")
        )
        names |= {class_id: name for class_id, name in pairs if class_id and name}
    return names
