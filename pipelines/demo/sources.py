# SPDX-License-Identifier: Apache-2.0
"""Writes the two sources: georeferenced scenes to be sliced, and a gallery of small chips."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import calculate_default_transform, reproject

from pipelines.demo.regions import BLOCK_DEGREES, BLOCK_PX, CHIPS, TOP_PX, footprints, generator
from pipelines.demo.world import PX_PER_DEGREE, Footprint, Pixels, World
from pipelines.demo.writing import Placed, encode_jpeg, write_bytes

# Pixels of value 0 are what a warp leaves empty, so that no valid pixel may have it.
NODATA = 0
# 16-bit scenes hold value * 16, as a 12-bit sensor would fill a 16-bit file: 16..4080.
UINT16_GAIN = 16

CHIP_SIZES_PX = ((48, 72), (64, 64), (80, 80), (96, 96))
"""Side in the world picture, side of the written chip."""
CHIP_COUNT = 600
MIN_CHIP_GREY_STD = 8.0
"""Grey levels; below it a chip is open sea, ice or desert without any feature."""


@dataclass(frozen=True)
class Scene:
    """A rectangle of blocks, and how it is published."""

    name: str
    row: int
    column: float
    columns: float = 1
    crs: str = "EPSG:4326"
    zoom: float = 1.0
    dtype: str = "uint8"

    @property
    def y0(self) -> int:
        """First row in the world picture."""
        return TOP_PX + self.row * BLOCK_PX

    @property
    def x0(self) -> int:
        """First column in the world picture."""
        return round(self.column * BLOCK_PX)

    @property
    def width_px(self) -> int:
        """Columns of the world picture; the rows are always one block."""
        return round(self.columns * BLOCK_PX)


SCENES = (
    Scene("sahara_to_persia", 2, 8, columns=5, crs="EPSG:3857", zoom=1.2),
    Scene("arctic_canada", 0, 2, crs="EPSG:3978"),
    Scene("alaska_panhandle", 1, 2, columns=0.5, zoom=2),
    Scene("rocky_mountains", 1, 2.5, columns=0.5, zoom=2),
    Scene("gulf_of_mexico", 2, 4, crs="EPSG:5070", zoom=1.5),
    Scene("ordos_to_tonkin", 2, 14, columns=0.5, zoom=2),
    Scene("north_china_plain", 2, 14.5, columns=0.5, zoom=2),
    Scene("horn_of_africa", 3, 11, crs="EPSG:3857"),
    Scene("para", 4, 6, columns=0.5, zoom=2, dtype="uint16"),
    Scene("maranhao", 4, 6.5, columns=0.5, zoom=2),
    Scene("congo_mouth", 4, 9, crs="EPSG:3857", zoom=1.5, dtype="uint16"),
    Scene("parana", 5, 6, zoom=1.5, dtype="uint16"),
    Scene("new_zealand_west", 6, 17, columns=0.5, zoom=2),
    Scene("new_zealand_east", 6, 17.5, columns=0.5, zoom=2),
)


def write_scenes(world: World, folder: Path) -> Iterator[Placed]:
    """Write the GeoTIFFs of demo_scenes, tiled and deflated, under `scenes/<crs>/`."""
    for scene in SCENES:
        source_path = f"scenes/{scene.crs.replace(':', '').lower()}/{scene.name}.tif"
        pixels, transform = render_scene(world, scene)
        path = folder / source_path
        path.parent.mkdir(parents=True, exist_ok=True)
        write_geotiff(path, pixels, transform, scene)
        yield Placed(
            "demo_scenes", source_path, "train", scene.y0, scene.x0, BLOCK_PX, scene.width_px
        )


def render_scene(world: World, scene: Scene) -> tuple[Pixels, Affine]:
    """Warp a rectangle of the picture to the scene's CRS and resolution; uint8 (3, H, W)."""
    rows = slice(scene.y0, scene.y0 + BLOCK_PX)
    columns = slice(scene.x0, scene.x0 + scene.width_px)
    source = np.moveaxis(np.maximum(world.picture[rows, columns], NODATA + 1), 2, 0)
    west, north = scene.x0 / PX_PER_DEGREE - 180, 90 - scene.y0 / PX_PER_DEGREE
    east, south = west + scene.width_px / PX_PER_DEGREE, north - BLOCK_DEGREES
    degree_px = 1 / PX_PER_DEGREE
    source_transform = Affine.translation(west, north) @ Affine.scale(degree_px, -degree_px)
    natural, width_px, height_px = calculate_default_transform(
        "EPSG:4326", scene.crs, scene.width_px, BLOCK_PX, west, south, east, north
    )
    width_px, height_px = round(width_px * scene.zoom), round(height_px * scene.zoom)
    transform = natural @ Affine.scale(1 / scene.zoom)
    pixels = np.full((3, height_px, width_px), NODATA, dtype=np.uint8)
    reproject(
        source,
        pixels,
        src_transform=source_transform,
        src_crs="EPSG:4326",
        dst_transform=transform,
        dst_crs=scene.crs,
        src_nodata=NODATA,
        dst_nodata=NODATA,
        resampling=Resampling.cubic,
    )
    return pixels, transform


def write_geotiff(path: Path, pixels: Pixels, transform: Affine, scene: Scene) -> None:
    """Write uint8 (3, H, W) pixels in the scene's dtype, with nodata and band names."""
    stored: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] = pixels
    if scene.dtype == "uint16":
        stored = pixels.astype(np.uint16) * np.uint16(UINT16_GAIN)
    _, height, width = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=3,
        dtype=scene.dtype,
        crs=scene.crs,
        transform=transform,
        nodata=NODATA,
        photometric="RGB",
        interleave="pixel",
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        predictor=2,
    ) as file:
        file.write(stored)
        file.descriptions = ("red", "green", "blue")
        if scene.dtype == "uint16":
            file.scales = (1 / UINT16_GAIN,) * 3
        file.update_tags(TITLE=f"Blue Marble Next Generation, {scene.name}")


def write_chips(world: World, folder: Path) -> Iterator[Placed]:
    """Write the plain JPEGs of demo_chips: textured squares, half a side apart at least."""
    for at, out_px in sorted(pick_chips(world)):
        source_path = f"gallery/earth_{at.name}.jpg"
        write_bytes(folder / source_path, encode_jpeg(world.crop(at, out_px), quality=90))
        yield Placed.at(at, "demo_chips", source_path, "train")


def pick_chips(world: World) -> list[tuple[Footprint, int]]:
    """Choose the chips: each block has one size, so that neighbours overlap by half at most."""
    found = [
        (at, out_px)
        for number, (size_px, out_px) in enumerate(CHIP_SIZES_PX)
        for at in footprints(CHIPS, size_px, stride_px=size_px // 2)
        if chip_size_number(at) == number and grey_std(world.crop(at)) > MIN_CHIP_GREY_STD
    ]
    order = generator("chips").permutation(len(found))
    return [found[index] for index in order[:CHIP_COUNT]]


def chip_size_number(at: Footprint) -> int | None:
    """Which of CHIP_SIZES_PX is used here; None across the border between two sizes."""
    numbers = {
        ((y - TOP_PX) // BLOCK_PX * 5 + x // BLOCK_PX * 3) % len(CHIP_SIZES_PX)
        for y in (at.y0, at.y1 - 1)
        for x in (at.x0, at.x1 - 1)
    }
    return numbers.pop() if len(numbers) == 1 else None


def grey_std(pixels: Pixels) -> float:
    """Standard deviation of the grey values of uint8 (H, W, 3) pixels, in grey levels."""
    return float(pixels.mean(axis=2).std())
