# SPDX-License-Identifier: Apache-2.0
"""xView: one GeoJSON with the boxes of all images.

    train_images/5.tif
    train_labels/xView_train.geojson     (or xView_train.geojson)
    val_images/…                         (no labels are published)
    xview_class_labels.txt               `11:Fixed-wing Aircraft`, from the publisher's baseline

Of each feature: `bounds_imcoords` "x0,y0,x1,y1" in pixels, kept as they are, as edges; `type_id`;
`image_id`, the image's file name. Class names come from the text file, else from the card's
`classes` (a mapping name → id); a class without a name is called by its number.

Known faults: type ids 75 and 82 have no name; boxes without area (left out, named in the ledger);
boxes that reach over the edge (kept); features of images that are not there (counted).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from rspipe.errors import ReaderError
from rspipe.readers.base import Listing
from rspipe.readers.boxes import UnusableBox, class_names, describe, horizontal
from rspipe.readers.gather import OPTIONS, Gathered, Said, told_names
from rspipe.readers.json_files import load_json
from rspipe.readers.splits import split_word
from rspipe.readers.tree import FileTree
from rspipe.schema import Annotation, DatasetCard, ObjectBox

_KEPT = ("bounds_imcoords", "type_id", "image_id")


class XView:
    """One file for many images, which it names."""

    name = "xview"
    options: tuple[str, ...] = OPTIONS

    def recognises(self, tree: FileTree) -> bool:
        """A GeoJSON file whose first features have xView's bounds."""
        files = tree.with_suffix(".geojson")[:8]
        return any('"bounds_imcoords"' in tree.read_text(path, 2**14) for path in files)

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every label file, with their boxes."""
        gathered = Gathered(tree, card)
        names = class_names(card) | _class_labels(gathered)
        for path in tree.with_suffix(".geojson"):
            try:
                _read_file(gathered, path, names)
            except ReaderError as error:
                gathered.faults[path] = str(error)
        return gathered.listing()


def shrink(entry: dict[str, Any]) -> dict[str, Any]:
    """Keep of a feature what is read of it, while the file is parsed."""
    if "bounds_imcoords" in entry:
        return {key: entry.get(key) for key in _KEPT}
    return {} if "coordinates" in entry else entry


@dataclass
class XViewFile:
    """What one file says."""

    boxes: dict[str, list[ObjectBox]] = field(default_factory=lambda: defaultdict(list))
    """By image file name; an image of which all boxes are unusable is not listed."""
    unusable: list[str] = field(default_factory=list)


def parse_xview(data: dict[str, Any], names: dict[str, str]) -> XViewFile | None:
    """Read a GeoJSON that was parsed with `shrink`; None if it has no feature with xView's bounds.

    Raises:
        ReaderError: features without their keys, or of which none can be used.
    """
    features = data.get("features")
    if not isinstance(features, list):
        return None
    found = XViewFile()
    for place, feature in enumerate(features, start=1):
        said = feature.get("properties") if isinstance(feature, dict) else None
        if not isinstance(said, dict) or "bounds_imcoords" not in said:
            continue
        type_id = str(said["type_id"])
        try:
            edges = str(said["bounds_imcoords"]).split(",")
            box = horizontal(names.get(type_id, type_id), edges)
            found.boxes[str(said["image_id"])].append(box)
        except UnusableBox as error:
            found.unusable.append(f"feature {place} of {said['image_id']}: {error}")
    if not found.boxes and not found.unusable:
        return None
    if not found.boxes:
        raise ReaderError(describe(tuple(found.unusable), 0))
    return found


def _read_file(gathered: Gathered, path: str, names: dict[str, str]) -> None:
    found = parse_xview(load_json(gathered.tree, path, shrink), names)
    if found is None:
        return
    split = split_word(path.rpartition("/")[2])
    absent: list[str] = []
    doubtful: list[str] = []
    for name, boxes in found.boxes.items():
        images = gathered.finder.of_name(path, name)
        if len(images) == 1:
            said = Said(Annotation(boxes=tuple(boxes)), split=split)
            gathered.add(path, images[0], said)
        else:
            (doubtful if images else absent).append(name)
    n_boxes = sum(map(len, found.boxes.values()))
    notes = [
        "annotation",
        *([describe(tuple(found.unusable), n_boxes)] if found.unusable else []),
        *told_names("no image for", absent, len(found.boxes)),
        *told_names("several images fit", doubtful, len(found.boxes)),
    ]
    gathered.sidecars[path] = "; ".join(notes)


def _class_labels(gathered: Gathered) -> dict[str, str]:
    """Read the publisher's list of class names, `id:name` a line."""
    names: dict[str, str] = {}
    for path in gathered.tree.with_suffix(".txt"):
        if path.rpartition("/")[2] == "xview_class_labels.txt":
            pairs = (line.split(":", 1) for line in gathered.tree.read_text(path).splitlines())
            names |= {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}
            gathered.sidecars[path] = "class names"
    return names
