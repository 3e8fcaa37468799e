"""Tiny data sets in native layouts, whose answer lies in their pixels."""

from pathlib import Path

import numpy as np
import yaml

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
