# SPDX-License-Identifier: Apache-2.0
"""Makes sen2ships judgeable: `python -m pipelines.real_sets.ship_tiles REAL OUT`.

The published set is three uint16 scenes of ports with 46 ships of 3 to 30 pixels; one of the three,
`cartagena_rgb.tiff`, is named by the annotations but was never published. Evaluators read 8-bit
pictures, and one test image has no interval. So each scene becomes 8-bit by one stretch between
two percentiles of its own values, shared by its bands, and is cut into tiles without overlap; a
ship goes with the tile that holds its centre, cut at the tile's edges. Cartagena is stacked from
its bands 4, 3 and 2.

Two sets come of the same tiles. `sen2ships_tiles`: Honolulu and Casablanca train, Cartagena is
scored: other places, another processing of the values, smaller ships that sail. `sen2ships_places`
has no splits: dealt to folds, every tile is scored once by a detector that learned from other tiles
of the same three ports, so all 46 ships count. Neighbours may train and be scored there.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from jaxtyping import Float, UInt8

from rspipe.catalog import CARD_NAME
from rspipe.io.images import encode_png

NAME = "sen2ships_tiles"
PLACES = "sen2ships_places"
TILE_PX = 128
STRETCH = (1.0, 99.0)
"""Percentiles of a scene's values that become 0 and 255."""
SPLITS = {"honolulu": "train", "casablanca": "train", "cartagena": "test"}
_BANDS = ("B04", "B03", "B02")


@dataclass(frozen=True)
class Tile:
    """Part of a scene, and the ships whose centres it holds: x, y, width, height."""

    pixels: UInt8[np.ndarray, "h w 3"]
    ships: list[list[float]]
    name: str


def make_tiles(real: Path, out: Path) -> None:
    """Write the tiles of all scenes, once split by ports and once without splits.

    Args:
        real: folder of the real data sets; nothing is written to it.
        out: folder that gets the folders `sen2ships_tiles` and `sen2ships_places`.
    """
    source = real / "sen2ships"
    told = json.loads((source / "coco_annotations.json").read_text())
    ids = {image["file_name"]: image["id"] for image in told["images"]}
    by_split: dict[str, list[Tile]] = {"train": [], "test": []}
    for port, split in SPLITS.items():
        ships = [
            one["bbox"] for one in told["annotations"] if one["image_id"] == ids[f"{port}_rgb.tiff"]
        ]
        by_split[split] += cut(to_8_bit(read_scene(source / port)), ships, port)
    _write(out / NAME, by_split, {"benchmark_splits": ["test"]})
    _write(out / PLACES, {"tiles": by_split["train"] + by_split["test"]}, {})


def _write(folder: Path, parts: dict[str, list[Tile]], differs: dict[str, Any]) -> None:
    """Write a data set: a folder and a COCO file for each part, and the card."""
    for part, tiles in parts.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        for tile in tiles:
            (folder / part / tile.name).write_bytes(encode_png(tile.pixels))
        (folder / f"instances_{part}.json").write_text(json.dumps(to_coco(tiles), indent=1))
    card = {
        "name": folder.name,
        "task": "detection",
        "layout": "coco",
        "classes": ["ship"],
        "licence": "MIT",
        "attribution": "ShipDetectionExperts; contains modified Copernicus Sentinel data 2022-2023",
        "gsd_m": [10.0, 10.0],
        **differs,
    }
    (folder / CARD_NAME).write_text(yaml.safe_dump(card, sort_keys=False))


def read_scene(folder: Path) -> Float[np.ndarray, "3 H W"]:
    """Read red, green and blue: the port's RGB file, else its bands."""
    rgb = folder / f"{folder.name}_rgb.tiff"
    paths = [rgb] if rgb.is_file() else [next(folder.glob(f"*_{band}_*")) for band in _BANDS]
    bands = []
    for path in paths:
        with rasterio.open(path) as scene:
            bands.append(scene.read())
    return np.concatenate(bands).astype(np.float64)


def to_8_bit(bands: Float[np.ndarray, "3 H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """Stretch between two percentiles of all values."""
    low, high = np.percentile(bands, STRETCH)
    scaled = np.clip((bands - low) / (high - low), 0, 1) * 255
    picture: UInt8[np.ndarray, "H W 3"] = np.rint(scaled).astype(np.uint8).transpose(1, 2, 0)
    return picture


def cut(picture: UInt8[np.ndarray, "H W 3"], ships: list[list[float]], port: str) -> Iterator[Tile]:
    """Cut a scene and its ships; the last tiles of rows and columns are smaller."""
    height, width = picture.shape[:2]
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            pixels = picture[top : top + TILE_PX, left : left + TILE_PX]
            mine = [
                ship
                for x, y, w, h in ships
                if (ship := _within((x - left, y - top, w, h), pixels.shape))
            ]
            yield Tile(pixels, mine, f"{port}_{top:04d}_{left:04d}.png")


def _within(ship: tuple[float, float, float, float], shape: tuple[int, ...]) -> list[float]:
    """Cut a ship at a tile's edges; empty where its centre lies elsewhere."""
    x, y, w, h = ship
    rows, columns = shape[:2]
    if not (0 <= x + w / 2 < columns and 0 <= y + h / 2 < rows):
        return []
    x0, y0 = max(x, 0.0), max(y, 0.0)
    return [x0, y0, min(x + w, columns) - x0, min(y + h, rows) - y0]


def to_coco(tiles: list[Tile]) -> dict[str, Any]:
    """Describe tiles as COCO does; ids from 1."""
    images = [
        {
            "id": i,
            "file_name": tile.name,
            "width": tile.pixels.shape[1],
            "height": tile.pixels.shape[0],
        }
        for i, tile in enumerate(tiles, start=1)
    ]
    owned = [(i, ship) for i, tile in enumerate(tiles, start=1) for ship in tile.ships]
    annotations = [
        {
            "id": n,
            "image_id": i,
            "category_id": 1,
            "bbox": ship,
            "area": ship[2] * ship[3],
            "iscrowd": 0,
        }
        for n, (i, ship) in enumerate(owned, start=1)
    ]
    categories = [{"id": 1, "name": "ship"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="pipelines.real_sets.ship_tiles", description=__doc__)
    parser.add_argument("real", type=Path, help="folder of the real data sets")
    parser.add_argument("out", type=Path, help="folder that holds data sets in native layouts")
    chosen = parser.parse_args(arguments)
    make_tiles(chosen.real, chosen.out)
    sys.stdout.write(f"{chosen.out}: {NAME} and {PLACES}, tiles of {TILE_PX} px\n")


if __name__ == "__main__":
    main()
