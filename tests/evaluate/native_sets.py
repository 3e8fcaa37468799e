# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets in native layouts, whose answer lies in their pixels."""

import io
import json
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, TiffImagePlugin, TiffTags

from rspipe.io.images import encode_png

PX = 32
HUES = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_card(folder: Path, **said) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    card = {"name": folder.name, "benchmark_splits": "all", **said}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(card, sort_keys=False))


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels.astype(np.uint8)))


def noisy(rng: np.random.Generator, colour: tuple[int, int, int]) -> np.ndarray:
    return np.clip(np.array(colour) + rng.normal(0, 30, (PX, PX, 3)), 0, 255)


def write_scenes(folder: Path, per_class: int = 8, splits: tuple[str, ...] = ("train", "test")):
    """Class folders; the class is the hue. Without splits: one level of folders."""
    rng = np.random.default_rng(0)
    write_card(folder, task="classification", layout="image_folder", classes=list(HUES))
    for split in splits or ("",):
        for name, colour in HUES.items():
            for i in range(per_class):
                write_image(folder / split / name / f"{name}_{i}.png", noisy(rng, colour))


def write_boxes(folder: Path, count: int = 6):
    """VOC: bright squares (`lamp`) on dark ground, in images that are wider than high."""
    rng = np.random.default_rng(0)
    write_card(folder, task="detection", layout="voc", classes=["lamp"])
    for split in ("train", "test"):
        stems = [f"{split}_{i}" for i in range(count)]
        for stem in stems:
            y, x = rng.integers(4, PX - 16), rng.integers(4, 2 * PX - 16)
            pixels = np.full((PX, 2 * PX, 3), 30)
            pixels[y : y + 12, x : x + 12] = 220
            write_image(folder / "JPEGImages" / f"{stem}.png", pixels)
            write_voc(folder / "Annotations" / f"{stem}.xml", [("lamp", (x, y, x + 12, y + 12))])
        lists = folder / "ImageSets" / "Main"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text("\n".join(stems))


def write_voc(path: Path, objects: list[tuple[str, tuple[int, int, int, int]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x0}</xmin>"
        f"<ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, (x0, y0, x1, y1) in objects
    ]
    path.write_text(f"<annotation>{''.join(parts)}</annotation>")


def write_masks(folder: Path, count: int = 6):
    """Colour masks: the left part of each image is red (`roof`), the rest green (`field`)."""
    rng = np.random.default_rng(0)
    classes = {"roof": "#FF0000", "field": "#00FF00", "unknown": "#000000"}
    write_card(
        folder,
        task="segmentation",
        layout="mask_pairs",
        classes=classes,
        ignore_classes=["unknown"],
    )
    for split in ("train", "test"):
        for i in range(count):
            edge = int(rng.integers(8, 24))
            pixels, mask = noisy(rng, HUES["green"]), np.zeros((PX, PX, 3))
            pixels[:, :edge], mask[:, :edge] = noisy(rng, HUES["red"])[:, :edge], (255, 0, 0)
            mask[:, edge:] = (0, 255, 0)
            mask[0] = 0
            write_image(folder / split / "images" / f"{i}.png", pixels)
            write_image(folder / split / "masks" / f"{i}.png", mask)


def write_loveda(folder: Path, count: int = 3):
    """LoveDA's layout under the catalog's card: three splits of two areas, Test without masks.

    The upper part of each image is dark (water, 4), the lower bright (building, 2), the first
    column has no data (0).
    """
    rng = np.random.default_rng(0)
    for split in ("Train", "Val", "Test"):
        for number, area in enumerate(("Urban", "Rural")):
            for i in range(count):
                edge = int(rng.integers(8, 24))
                name = f"{number * count + i}.png"
                pixels, mask = np.full((PX, PX, 3), 40), np.full((PX, PX), 4)
                pixels[edge:], mask[edge:], mask[:, 0] = 200, 2, 0
                write_image(folder / split / area / "images_png" / name, pixels)
                if split != "Test":
                    write_image(folder / split / area / "masks_png" / name, mask)


RIO = (-43.68, -22.98, 5e-6)
"""Longitude and latitude of the upper left corner of every chip, and degrees per pixel."""


def geotiff(pixels: np.ndarray) -> bytes:
    """A GeoTIFF in degrees, as SpaceNet publishes them."""
    x, y, step = RIO
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, values in (
        (33550, TiffTags.DOUBLE, (step, step, 0.0)),
        (33922, TiffTags.DOUBLE, (0.0, 0.0, 0.0, x, y, 0.0)),
        (34735, TiffTags.SHORT, (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)),
    ):
        tags.tagtype[tag] = kind
        tags[tag] = values
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF", tiffinfo=tags)
    return buffer.getvalue()


def write_spacenet1(folder: Path, count: int = 12):
    """SpaceNet 1's layout under the catalog's card: bright buildings on dark ground."""
    rng = np.random.default_rng(0)
    x, y, step = RIO
    for split in ("train", "test"):
        for i in range(1, count + 1):
            top, left = rng.integers(2, PX - 18, 2).tolist()
            pixels = np.full((PX, PX, 3), 50, dtype=np.uint8)
            pixels[top : top + 14, left : left + 14] = 210
            path = folder / split / "3band" / f"3band_AOI_1_RIO_img{i}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(geotiff(pixels))
            corners = [(0, 0), (14, 0), (14, 14), (0, 14), (0, 0)]
            ring = [[x + (left + c) * step, y - (top + r) * step] for c, r in corners]
            geometry = {"type": "Polygon", "coordinates": [ring]}
            feature = {"type": "Feature", "properties": {}, "geometry": geometry}
            if split == "train":
                outlines = folder / split / "geojson" / f"Geo_AOI_1_RIO_img{i}.geojson"
                outlines.parent.mkdir(parents=True, exist_ok=True)
                collection = {"type": "FeatureCollection", "features": [feature]}
                outlines.write_text(json.dumps(collection))
