# SPDX-License-Identifier: Apache-2.0
"""Writes the three benchmarks: coast classes, island and lake boxes, land cover masks.

Train, validation and test tiles come from different blocks of the globe.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import shapely

from pipelines.demo.coast_classes import (
    CLASSES,
    MAX_LAND_SHARE,
    MIN_LAND_SHARE,
    classify,
)
from pipelines.demo.regions import (
    BENCH_TRAIN,
    TEST,
    TRAIN,
    VAL,
    block_number,
    footprints,
    generator,
)
from pipelines.demo.world import LAKE, LAND, SEA, Footprint, Pixels, World
from pipelines.demo.writing import Placed, encode_jpeg, encode_png, write_bytes

T = TypeVar("T")

TILE_PX = 64

# Neighbouring sizes differ by 1.4, so that tiles of two sizes share half their area at most.
COAST_WINDOWS_PX = (32, 45, 64, 90)
COAST_TILES_PER_CLASS = {"train": 180, "test": 110}
COAST_SPLITS = {"train": BENCH_TRAIN, "test": TEST}

ISLANDS_WINDOW_PX = 72
ISLANDS_IMAGE_PX = 128
IMAGE_SIZE = {"width": ISLANDS_IMAGE_PX, "height": ISLANDS_IMAGE_PX}
ISLANDS_ZOOM = ISLANDS_IMAGE_PX / ISLANDS_WINDOW_PX
ISLANDS_SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
ISLANDS_IMAGES = {"train": 240, "val": 50, "test": 150}
MIN_LONG_SIDE_PX, MIN_SHORT_SIDE_PX = 6.0, 3.0
"""Objects with smaller oriented boxes (in the image) are left out: too small to be seen."""
MIN_INSIDE_SHARE = 0.25
"""Objects of which less is inside the image are marked difficult."""
MIN_CONTRAST, MIN_CLEAR_CONTRAST = 9.0, 18.0
"""Colour distance (levels) to the surroundings. Below the first an object cannot be seen (dry
salt lakes, reservoirs younger than the picture) and is left out; below the second it is
marked difficult."""
SURROUNDINGS_PX = 2.0
MAX_DIFFICULT_PX = 48.0
"""An image with a larger difficult object is not used: is it an island or a continent?"""
MAX_BOX_SHARE = 0.8
"""Nor is an image that one object fills."""
ROBNDBOX_CORNERS = ("left_top", "right_top", "right_bottom", "left_bottom")

LANDCOVER_TILES = {"train": 300, "test": 150}
LAKE_SHARE_STEPS = (0.02, 0.06, 0.15)
MIN_LAKE_CONTRAST = 12.0
"""Colour distance (levels) of lake and land in a tile; below it the lakes are dry."""


# ---- demo_coasts -------------------------------------------------------------------------


def write_coasts(world: World, folder: Path) -> Iterator[Placed]:
    """Write demo_coasts, `<split>/<class>/<name>.jpg`."""
    for split, roles in COAST_SPLITS.items():
        for label, tiles in pick_coast_tiles(world, split, roles).items():
            for at in sorted(tiles):
                source_path = f"{split}/{label}/{at.name}.jpg"
                write_bytes(folder / source_path, encode_jpeg(world.crop(at, TILE_PX)))
                yield Placed.at(at, "demo_coasts", source_path, split)


def pick_coast_tiles(world: World, split: str, roles: str) -> dict[str, list[Footprint]]:
    """Choose tiles per class, spread evenly over land shares and blocks of the globe.

    Without it colour would tell the class: bays have little land, archipelagos much snow.
    """
    found: dict[str, dict[tuple[int, int], list[Footprint]]] = {label: {} for label in CLASSES}
    for window_px in COAST_WINDOWS_PX:
        for at in footprints(roles, window_px, stride_px=window_px // 2):
            cover = world.crop_cover(at)
            label = classify(cover)
            if label is not None:
                stratum = (land_share_bin(cover), block_number(at))
                found[label].setdefault(stratum, []).append(at)
    return {
        label: take_evenly(strata, COAST_TILES_PER_CLASS[split], f"coasts {split} {label}")
        for label, strata in found.items()
    }


def land_share_bin(cover: Pixels) -> int:
    """Quarter (0..3) of the allowed range in which the share of not-sea falls."""
    land_share = float((cover != SEA).mean())
    position = (land_share - MIN_LAND_SHARE) / (MAX_LAND_SHARE - MIN_LAND_SHARE)
    return min(int(position * 4), 3)


def take_evenly(strata: dict[tuple[int, int], list[T]], count: int, seed_name: str) -> list[T]:
    """Take one from each stratum in turn, in random order, until there are `count`."""
    rng = generator(seed_name)
    shuffled = [
        [strata[key][index] for index in rng.permutation(len(strata[key]))]
        for key in sorted(strata)
    ]
    turns = itertools.zip_longest(*shuffled)
    taken = (item for turn in turns for item in turn if item is not None)
    return list(itertools.islice(taken, count))


# ---- demo_islands ------------------------------------------------------------------------


@dataclass(frozen=True)
class BoxedObject:
    """One island or lake in an image, in image pixels (continuous, 0..ISLANDS_IMAGE_PX)."""

    kind: str
    corners: npt.NDArray[np.int64]
    inside_share: float
    contrast: float

    @property
    def is_difficult(self) -> bool:
        """Too little of it is inside the image, or it hardly stands out."""
        return self.inside_share < MIN_INSIDE_SHARE or self.contrast < MIN_CLEAR_CONTRAST

    @property
    def is_truncated(self) -> bool:
        """The border of the image cuts it."""
        return self.inside_share < 0.999

    @property
    def horizontal(self) -> tuple[int, int, int, int]:
        """xmin, ymin, xmax, ymax: the envelope of the oriented box, cut at the image."""
        low = self.corners.min(axis=0).clip(0, ISLANDS_IMAGE_PX)
        high = self.corners.max(axis=0).clip(0, ISLANDS_IMAGE_PX)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    @property
    def horizontal_sides_px(self) -> tuple[int, int]:
        """Width and height of the horizontal box."""
        xmin, ymin, xmax, ymax = self.horizontal
        return xmax - xmin, ymax - ymin


def clockwise_corners(polygon: shapely.Geometry) -> npt.NDArray[np.int64]:
    """Corners (x, y) of the smallest rotated rectangle, from the one nearest the top left."""
    rectangle = shapely.minimum_rotated_rectangle(polygon)
    corners = shapely.get_coordinates(shapely.normalize(rectangle))[:4]
    # y points down in images: counter-clockwise for shapely is clockwise for the eye.
    is_clockwise = shapely.is_ccw(shapely.linearrings(corners))
    clockwise: npt.NDArray[np.float64] = corners if is_clockwise else corners[::-1]
    first = int(clockwise.sum(axis=1).argmin())
    return np.asarray(np.rint(np.roll(clockwise, -first, axis=0)), dtype=np.int64)


def find_objects(world: World, at: Footprint) -> list[BoxedObject]:
    """All islands and lakes seen in a footprint, each visible part on its own."""
    frame = shapely.box(at.x0, at.y0, at.x1, at.y1)
    pixels = world.crop(at, ISLANDS_IMAGE_PX)
    found = []
    for index in np.sort(world.shore_tree.query(frame, predicate="intersects")):
        shore = world.shores[index]
        for part in shapely.get_parts(shapely.intersection(shore.polygon, frame)):
            outline = to_image_px(part, at)
            if shapely.get_dimensions(part) != 2 or not is_large_enough(outline):
                continue
            contrast = contrast_to_surroundings(pixels, outline)
            if contrast >= MIN_CONTRAST:
                inside_share = float(shapely.area(part) / shapely.area(shore.polygon))
                corners = clockwise_corners(outline)
                found.append(BoxedObject(shore.kind, corners, inside_share, contrast))
    return found


def contrast_to_surroundings(pixels: Pixels, outline: shapely.Geometry) -> float:
    """Distance of the mean colours in an outline and in a narrow ring around it, in levels."""
    wider = shapely.buffer(outline, SURROUNDINGS_PX)
    xmin, ymin, xmax, ymax = shapely.bounds(wider).clip(0, ISLANDS_IMAGE_PX)
    rows, columns = np.arange(int(ymin), int(ymax)), np.arange(int(xmin), int(xmax))
    y, x = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    # A pixel belongs to a shape if its centre does.
    is_inside = shapely.contains_xy(outline, x + 0.5, y + 0.5)
    is_around = shapely.contains_xy(wider, x + 0.5, y + 0.5) & ~is_inside
    if not is_inside.any() or not is_around.any():
        return 0.0
    colours = pixels[y, x]
    difference = colours[is_inside].mean(axis=0) - colours[is_around].mean(axis=0)
    return float(np.linalg.norm(difference))


def to_image_px(polygon: shapely.Geometry, at: Footprint) -> shapely.Geometry:
    """From pixels of the world picture to pixels of the image of a footprint."""
    return shapely.transform(polygon, lambda xy: (xy - (at.x0, at.y0)) * ISLANDS_ZOOM)


def is_large_enough(outline: shapely.Geometry) -> bool:
    """Whether both sides of the smallest rotated rectangle are long enough."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(outline))
    if len(corners) != 5:
        return False  # the rectangle of a sliver is a line
    sides_px = np.linalg.norm(np.diff(corners[:3], axis=0), axis=1)
    return bool(sides_px.min() >= MIN_SHORT_SIDE_PX and sides_px.max() >= MIN_LONG_SIDE_PX)


def write_islands(world: World, folder: Path) -> Iterator[Placed]:
    """Write demo_islands in the layout of DIOR and DIOR-R."""
    number = itertools.count(1)
    for split, roles in ISLANDS_SPLITS.items():
        names = []
        for at, objects in sorted(pick_islands_images(world, split, roles), key=itemgetter(0)):
            name = f"{next(number):05d}"
            names.append(name)
            write_boxes(folder, name, objects)
            source_path = f"JPEGImages/{name}.jpg"
            pixels = world.crop(at, ISLANDS_IMAGE_PX)
            write_bytes(folder / source_path, encode_jpeg(pixels))
            yield Placed.at(at, "demo_islands", source_path, split)
        listing = "".join(f"{name}\n" for name in names)
        write_bytes(folder / "ImageSets" / "Main" / f"{split}.txt", listing.encode())


def pick_islands_images(
    world: World, split: str, roles: str
) -> list[tuple[Footprint, list[BoxedObject]]]:
    """Choose images with at least one clear object, evenly over which kinds they show."""
    strata = defaultdict(list)
    for at in footprints(roles, ISLANDS_WINDOW_PX, stride_px=ISLANDS_WINDOW_PX // 2):
        objects = find_objects(world, at)
        kinds = {found.kind for found in objects if not found.is_difficult}
        if kinds and not any(is_confusing(found) for found in objects):
            strata[int("island" in kinds), int("lake" in kinds)].append((at, objects))
    return take_evenly(strata, ISLANDS_IMAGES[split], f"islands {split}")


def is_confusing(found: BoxedObject) -> bool:
    """Whether an object makes its image unfit: large but difficult, or it fills the image."""
    width, height = found.horizontal_sides_px
    fills_image = width * height > MAX_BOX_SHARE * ISLANDS_IMAGE_PX**2
    return fills_image or (found.is_difficult and max(width, height) > MAX_DIFFICULT_PX)


def write_boxes(folder: Path, name: str, objects: list[BoxedObject]) -> None:
    """Write the horizontal and the oriented annotation file of an image."""
    for kind in ("Horizontal", "Oriented"):
        root = ET.Element("annotation")
        add_text(root, "filename", f"{name}.jpg")
        add_text(ET.SubElement(root, "source"), "database", "demo_islands")
        size = ET.SubElement(root, "size")
        for key, value in {**IMAGE_SIZE, "depth": 3}.items():
            add_text(size, key, value)
        add_text(root, "segmented", 0)
        for found in objects:
            add_object(root, found, is_oriented=kind == "Oriented")
        ET.indent(root)
        path = folder / "Annotations" / f"{kind} Bounding Boxes" / f"{name}.xml"
        write_bytes(path, ET.tostring(root) + b"\n")


def add_object(root: ET.Element, found: BoxedObject, *, is_oriented: bool) -> None:
    """Add an `<object>` with `<robndbox>` (four corners) or `<bndbox>`."""
    element = ET.SubElement(root, "object")
    add_text(element, "name", found.kind)
    add_text(element, "truncated", int(found.is_truncated))
    add_text(element, "difficult", int(found.is_difficult))
    if not is_oriented:
        box = ET.SubElement(element, "bndbox")
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), found.horizontal, strict=True):
            add_text(box, key, value)
        return
    add_text(element, "type", "robndbox")
    box = ET.SubElement(element, "robndbox")
    for corner, (x, y) in zip(ROBNDBOX_CORNERS, found.corners, strict=True):
        add_text(box, f"x_{corner}", int(x))
        add_text(box, f"y_{corner}", int(y))


def add_text(parent: ET.Element, tag: str, value: str | int) -> None:
    """Add `<tag>value</tag>`."""
    ET.SubElement(parent, tag).text = str(value)


# ---- demo_landcover ----------------------------------------------------------------------


def write_landcover(world: World, folder: Path) -> Iterator[Placed]:
    """Write demo_landcover, `<split>/images/*.png` and `<split>/masks/*.png` of equal name."""
    for split, roles in COAST_SPLITS.items():
        for at in sorted(pick_landcover_tiles(world, split, roles)):
            source_path = f"{split}/images/{at.name}.png"
            write_bytes(folder / source_path, encode_png(world.crop(at)))
            mask = world.crop_cover(at)
            write_bytes(folder / split / "masks" / f"{at.name}.png", encode_png(mask))
            yield Placed.at(at, "demo_landcover", source_path, split)


def pick_landcover_tiles(world: World, split: str, roles: str) -> list[Footprint]:
    """Choose tiles with at least two covers, evenly over their share of lake and of sea."""
    strata = defaultdict(list)
    for at in footprints(roles, TILE_PX, stride_px=TILE_PX // 2):
        cover = world.crop_cover(at)
        lake_step = int(np.searchsorted(LAKE_SHARE_STEPS, (cover == LAKE).mean()))
        has_sea = MIN_LAND_SHARE < (cover == SEA).mean() < MAX_LAND_SHARE
        if (lake_step or has_sea) and has_visible_lakes(world.crop(at), cover):
            strata[lake_step, int(has_sea)].append(at)
    return take_evenly(strata, LANDCOVER_TILES[split], f"landcover {split}")


def has_visible_lakes(pixels: Pixels, cover: Pixels) -> bool:
    """Whether the picture shows the lakes of the mask (True if it has hardly any)."""
    is_lake, is_land = cover == LAKE, cover == LAND
    if is_lake.mean() < LAKE_SHARE_STEPS[0] or not is_land.any():
        return True
    difference = pixels[is_lake].mean(axis=0) - pixels[is_land].mean(axis=0)
    return bool(np.linalg.norm(difference) >= MIN_LAKE_CONTRAST)
