# SPDX-License-Identifier: Apache-2.0
"""Functional Map of the World: one JSON of metadata per picture, with boxes and their categories.

    train/airport/airport_0/airport_0_0_rgb.jpg       airport_0_0_rgb.json
    train/airport/airport_0/airport_0_0_msrgb.jpg     airport_0_0_msrgb.json
    val/…, test/0000001/…, seq/…                      (and `_ms.tif` in fMoW-full)

Of each picture: `bounding_boxes` with `category` and `box` x, y, width, height in its own pixels,
kept as they are. The label is the category of its boxes, `false_detection` counting only where
there is no other; several categories are joined by `|`. Without a category (test, before its truth
was published) there is neither label nor box.

Geography: `gsd` in metres, `timestamp`, `sensor_platform_name`, `cloud_cover` (percent → share) and
the rectangle around `raw_location`, a polygon in degrees. Splits are the folders, `seq` included.

Known faults: every view is there twice, as `_rgb` (pan-sharpened) and as `_msrgb`; boxes may reach
over the edge (kept).
"""

import re
from typing import Any

from rspipe.readers.base import Listing, split_in_path
from rspipe.readers.boxes import UnusableBox, horizontal, number, parse_each
from rspipe.readers.gather import OPTIONS, Gathered, Said
from rspipe.readers.json_files import load_json
from rspipe.readers.tree import FileTree
from rspipe.schema import Annotation, DatasetCard, Geography, ObjectBox

_FALSE = "false_detection"
_POINT = re.compile(r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s+(-?\d+(?:\.\d+)?(?:e-?\d+)?)", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?Z?)?")


class FMow:
    """One JSON file per image, called like it."""

    name = "fmow"
    options: tuple[str, ...] = OPTIONS

    def recognises(self, tree: FileTree) -> bool:
        """One of the first JSON files that are called like an image has fMoW's boxes."""
        files = [path for path in tree.with_suffix(".json")[:8] if _is_twin(path, tree)]
        return any('"bounding_boxes"' in tree.read_text(path, 2**16) for path in files)

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every metadata file, with label, boxes and geography."""
        gathered = Gathered(tree, card)

        def parse(path: str) -> Said | None:
            split = _split(path, card)
            return parse_fmow(load_json(tree, path), split)

        twins = (path for path in tree.with_suffix(".json") if _is_twin(path, tree))
        gathered.read_each(twins, parse)
        return gathered.listing()


def parse_fmow(data: dict[str, Any], split: str | None = None) -> Said | None:
    """Read the metadata of one picture; None if it is none.

    Raises:
        ReaderError: boxes of which none can be used.
    """
    items = data.get("bounding_boxes")
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        return None
    named = [item for item in items if isinstance(item, dict) and _category(item)]
    found = parse_each(named, _parse_box, "box")
    categories = sorted({_category(item) for item in named} - {_FALSE})
    label = "|".join(categories) or (_FALSE if named else None)
    nameless = len(items) - len(named)
    note = found.note() + (f"; {nameless} boxes without a category" if nameless else "")
    boxes = None if nameless and not named else found.boxes
    return Said(Annotation(label=label, boxes=boxes), _geography(data), note, split=split)


def _category(item: dict[str, Any]) -> str:
    found = item.get("category")
    return found.strip() if isinstance(found, str) and found.strip() not in {"", "?"} else ""


def _parse_box(item: dict[str, Any]) -> ObjectBox:
    box, label = item.get("box"), _category(item)
    if not isinstance(box, list) or len(box) != 4:
        raise UnusableBox(f"{label!r} has no box of four numbers")
    x, y, width, height = map(number, box)
    return horizontal(label, (x, y, x + width, y + height))


def _geography(data: dict[str, Any]) -> Geography:
    gsd_m, cloud = _positive(data.get("gsd")), _number(data.get("cloud_cover"))
    time = _TIME.fullmatch(str(data.get("timestamp", "")))
    sensor = data.get("sensor_platform_name")
    west, south, east, north = _bounds(data.get("raw_location"))
    return Geography(
        gsd_m=gsd_m,
        xmin=west,
        ymin=south,
        xmax=east,
        ymax=north,
        acquired=time.group() if time else None,
        sensor=sensor if isinstance(sensor, str) and sensor else None,
        cloud_cover=cloud / 100 if cloud is not None and 0 <= cloud <= 100 else None,
    )


def _bounds(wkt: Any) -> tuple[float, float, float, float] | tuple[None, None, None, None]:
    """Return west, south, east, north of a polygon in degrees; Nones if it is none."""
    points = [(float(x), float(y)) for x, y in _POINT.findall(wkt if isinstance(wkt, str) else "")]
    if len(points) < 3 or not all(abs(x) <= 180 and abs(y) <= 90 for x, y in points):
        return None, None, None, None
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _number(value: Any) -> float | None:
    try:
        return number(value)
    except UnusableBox:
        return None


def _positive(value: Any) -> float | None:
    found = _number(value)
    return found if found is not None and found > 0 else None


def _split(path: str, card: DatasetCard) -> str | None:
    return split_in_path(path, card) or ("seq" if "seq" in path.split("/")[:-1] else None)


def _is_twin(path: str, tree: FileTree) -> bool:
    return path.rpartition("/")[2][:-5] in tree.images_by_stem
