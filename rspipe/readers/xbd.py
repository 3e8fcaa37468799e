# SPDX-License-Identifier: Apache-2.0
"""xBD (xView2): pictures before and after a disaster, a JSON file of buildings for each.

`SPLIT/images/NAME_pre_disaster.png`, `SPLIT/labels/NAME_pre_disaster.json` with building outlines
as WKT, in pixels and in degrees, and in the challenge's release
`SPLIT/targets/NAME_pre_disaster_target.png` with 0 = background, 1..4 = damage.
Source: Gupta et al. 2019, arXiv:1911.09296.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rspipe.errors import ReaderError
from rspipe.readers.base import Listing, record, split_in_path, without_container
from rspipe.readers.boxes import Parsed, UnusableBox, horizontal, parse_each
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, Geography, ObjectBox

SPLITS = ("train", "tier1", "tier3", "test", "hold")
_NAME = re.compile(r"(?P<place>.+)_(?P<time>pre|post)_disaster(?P<target>_target)?\.\w+$")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_METRES_PER_DEGREE = 111_320.0
_Key = tuple[str, str, str]
_Point = tuple[float, float]


@dataclass(frozen=True)
class Label:
    """What a label file says of its picture."""

    buildings: Parsed
    geography: Geography


class Xbd:
    """Buildings as boxes, labelled with their damage (before the disaster: `building`)."""

    name = "xbd"
    options: tuple[str, ...] = ()

    def recognises(self, tree: FileTree) -> bool:
        """Some place has a picture before and one after the disaster."""
        pictures, _ = _by_key(tree.image_paths)
        return any(_other(key) in pictures for key in pictures)

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the pictures with buildings, target mask, date and the other of their pair."""
        pictures, targets = _by_key(tree.image_paths)
        labels, sidecars, faults = _read_labels(tree, pictures)
        for key, path in targets.items():
            sidecars[path] = "mask" if key in pictures else "mask without an image"
        images = {}
        for key, path in pictures.items():
            label = labels.get(key)
            said = record(
                path,
                card,
                _split_of(path, card),
                boxes=label.buildings.boxes if label else None,
                mask_path=targets.get(key),
                pair_path=pictures.get(_other(key)),
            )
            images[path] = said.model_copy(update={"geography": label.geography}) if label else said
        return Listing(images, sidecars, faults)


def _other(key: _Key) -> _Key:
    folder, place, time = key
    return folder, place, "pre" if time == "post" else "post"


def _read_labels(
    tree: FileTree, pictures: Mapping[_Key, str]
) -> tuple[dict[_Key, Label], dict[str, str], dict[str, str]]:
    labels: dict[_Key, Label] = {}
    sidecars: dict[str, str] = {}
    faults: dict[str, str] = {}
    for path in tree.with_suffix(".json"):
        match = _NAME.fullmatch(path.rpartition("/")[2])
        if match is None:
            continue
        key = _key(path, match)
        try:
            labels[key] = parse_label(tree.read_text(path))
        except ReaderError as error:
            faults[path] = str(error)
            continue
        what = "annotation" if key in pictures else "annotation without an image"
        sidecars[path] = labels[key].buildings.note(what)
    return labels, sidecars, faults


def parse_label(text: str) -> Label:
    """Parse one label file: buildings in pixels, and where, when and by what it was taken.

    Raises:
        ReaderError: not JSON, without its keys, or no building of it can be used.
    """
    try:
        data = json.loads(text)
        features, metadata = data["features"], data.get("metadata", {})
        in_pixels, in_degrees = list(features["xy"]), list(features.get("lng_lat", []))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReaderError(f"not a usable xBD file: {error!r}") from error
    buildings = parse_each(in_pixels, _building, "building")
    return Label(buildings, _geography(metadata, in_pixels, in_degrees))


def _building(feature: Any) -> ObjectBox:
    try:
        properties, wkt = feature["properties"], feature["wkt"]
        points = _points(wkt)
        label = str(properties.get("subtype") or properties.get("feature_type") or "building")
    except (KeyError, TypeError, AttributeError) as error:
        raise UnusableBox(f"without {error}") from error
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return horizontal(label, (min(xs), min(ys), max(xs), max(ys)))


def _points(wkt: str) -> list[tuple[float, float]]:
    """Vertices of a polygon in well-known text, all rings in one list.

    >>> _points("POLYGON ((1 2, 3 4.5, 1 2))")
    [(1.0, 2.0), (3.0, 4.5), (1.0, 2.0)]
    """
    numbers = [float(n) for n in _NUMBER.findall(wkt)]
    if "POLYGON" not in wkt.upper() or len(numbers) < 6 or len(numbers) % 2:
        raise UnusableBox(f"{wkt[:40]!r} is no polygon")
    return list(zip(numbers[0::2], numbers[1::2], strict=True))


def _size(metadata: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = metadata.get("height"), metadata.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _geography(
    metadata: Mapping[str, Any], in_pixels: list[Any], in_degrees: list[Any]
) -> Geography:
    """Say where, when and by what a picture was taken.

    The pictures carry no georeference, but the outlines are given in pixels and in degrees: the
    affine map between both gives the footprint and the ground size of a pixel. (`gsd` of the file
    is that of the multispectral bands, coarser than the pan-sharpened picture.)
    """
    sensor, acquired = metadata.get("sensor"), metadata.get("capture_date")
    told = Geography(
        sensor=str(sensor) if sensor else None, acquired=str(acquired) if acquired else None
    )
    size, affine = _size(metadata), _affine(in_pixels, in_degrees)
    if size is None or affine is None:
        return told
    height, width = size
    corners = np.array([(1, x, y) for x in (0, width) for y in (0, height)]) @ affine
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    where = {"xmin": west, "ymin": south, "xmax": east, "ymax": north}
    where["gsd_m"] = abs(affine[2, 1]) * _METRES_PER_DEGREE
    return told.model_copy(update={key: float(value) for key, value in where.items()})


def _affine(in_pixels: list[Any], in_degrees: list[Any]) -> NDArray[np.float64] | None:
    """Fit (longitude, latitude) = (1, x, y) @ affine (3, 2); None where the outlines do not do.

    They do where they span the plane and the fit misses none of them by more than a pixel.
    """
    outlines = {uid: wkt for uid, wkt in map(_identified, in_degrees) if uid}
    pairs = [
        (xy, degrees)
        for uid, wkt in map(_identified, in_pixels)
        if uid in outlines
        for xy, degrees in _vertices(wkt, outlines[uid])
    ]
    if len(pairs) < 3:
        return None
    pixels = np.array([(1.0, *xy) for xy, _ in pairs])
    degrees = np.array([lonlat for _, lonlat in pairs])
    affine, _, rank, _ = np.linalg.lstsq(pixels, degrees, rcond=None)
    miss = np.abs(pixels @ affine - degrees).max()
    pixel = np.abs(affine[1:]).max()
    return affine if rank == 3 and miss <= pixel else None


def _identified(feature: Any) -> tuple[str | None, str]:
    try:
        return feature["properties"].get("uid"), str(feature["wkt"])
    except (KeyError, TypeError, AttributeError):
        return None, ""


def _vertices(in_pixels: str, in_degrees: str) -> Iterator[tuple[_Point, _Point]]:
    """Vertices of an outline in both units; none where their numbers differ."""
    try:
        xy, lonlat = _points(in_pixels), _points(in_degrees)
    except UnusableBox:
        return
    if len(xy) == len(lonlat):
        yield from zip(xy, lonlat, strict=True)


def _by_key(paths: Iterable[str]) -> tuple[dict[_Key, str], dict[_Key, str]]:
    """Sort pictures and target masks by place and time."""
    pictures: dict[_Key, str] = {}
    targets: dict[_Key, str] = {}
    for path in paths:
        match = _NAME.fullmatch(path.rpartition("/")[2])
        if match:
            (targets if match["target"] else pictures)[_key(path, match)] = path
    return pictures, targets


def _key(path: str, match: re.Match[str]) -> _Key:
    """Folder above `images`, `labels` or `targets`; place; `pre` or `post`."""
    return path.rpartition("/")[0].rpartition("/")[0], match["place"], match["time"]


def _split_of(path: str, card: DatasetCard) -> str | None:
    found = split_in_path(path, card)
    folders = map(without_container, path.split("/")[:-1])
    return found or next((folder for folder in folders if folder in SPLITS), None)
