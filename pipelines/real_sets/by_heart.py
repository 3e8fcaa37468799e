# SPDX-License-Identifier: Apache-2.0
"""Eight real pictures to learn by heart.

A detector that cannot learn eight pictures has a fault, whatever it scores on a test split. The
pictures are windows of eight training images of HIT-UAV, evenly from its list, each where (on a
grid) most objects lie. Every one stands in the set twice, once to train and once to be scored, so
that an ordinary evaluation (`by_heart.yaml`) tells whether it was learned.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import UInt8
from PIL import Image

from pipelines.real_sets.sets import HIT_UAV
from rspipe.catalog import CARD_NAME
from rspipe.evaluate.detection.tuning.windows import lay_windows, within
from rspipe.io.images import encode_png
from rspipe.readers import FileTree, read_dataset
from rspipe.schema import ObjectBox

NAME = "hit_uav_by_heart"
PICTURES = 8
WINDOW_PX = 128
STRIDE_PX = 64


@dataclass(frozen=True)
class Window:
    """Part of a picture and the objects whose middles it holds, in its own pixels."""

    name: str
    pixels: UInt8[np.ndarray, "h w 3"]
    objects: list[tuple[str, list[float]]]
    """Class, and x, y of four corners; they may reach over the edge."""


def make_pictures(real: Path, out: Path) -> None:
    """Write the windows, one COCO file for each split, and the card.

    Args:
        real: folder of the real data sets; nothing is written to it.
        out: folder that gets the folder `hit_uav_by_heart`.
    """
    source, folder, card = real / HIT_UAV.source, out / NAME, HIT_UAV.card()
    records = read_dataset(FileTree.scan(source), card).images
    classes = tuple(card.classes or ())
    told_of = {
        path: [b for b in record.annotation.boxes or () if b.label in classes]
        for path, record in sorted(records.items())
        if record.split == "train"
    }
    windows = []
    shown = [one for one in told_of.items() if one[1]]
    for path, boxes in shown[:: len(shown) // PICTURES][:PICTURES]:
        pixels = np.asarray(Image.open(source / path).convert("RGB"))
        windows.append(fullest(pixels, boxes, Path(path).stem))
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        for window in windows:
            (folder / split / f"{window.name}.png").write_bytes(encode_png(window.pixels))
        coco = to_coco(windows, classes)
        (folder / f"instances_{split}.json").write_text(json.dumps(coco, indent=1))
    new = {
        "name": NAME,
        "task": "detection",
        "layout": "coco",
        "classes": list(classes),
        "benchmark_splits": ["test"],
        "licence": card.licence,
        "attribution": card.attribution,
    }
    (folder / CARD_NAME).write_text(yaml.safe_dump(new, sort_keys=False))


def fullest(pixels: UInt8[np.ndarray, "H W 3"], boxes: list[ObjectBox], name: str) -> Window:
    """Cut the window that holds the middles of most objects; of equal ones the first."""
    height, width = pixels.shape[:2]
    places = lay_windows((height, width), WINDOW_PX, STRIDE_PX)
    corners = [(box.label, _corners(box)) for box in boxes]
    middles = np.array([np.reshape(four, (4, 2)).mean(axis=0) for _, four in corners])
    held = [within(middles, place, WINDOW_PX) for place in places]
    best = int(np.argmax([inside.sum() for inside in held]))
    y, x = places[best]
    objects = [
        (label, (np.reshape(four, (4, 2)) - (x, y)).flatten().tolist())
        for (label, four), inside in zip(corners, held[best], strict=True)
        if inside
    ]
    return Window(name, pixels[y : y + WINDOW_PX, x : x + WINDOW_PX], objects)


def _corners(box: ObjectBox) -> tuple[float, ...]:
    upright = (box.x0, box.y0, box.x1, box.y0, box.x1, box.y1, box.x0, box.y1)
    return box.corners or upright


def to_coco(windows: list[Window], classes: tuple[str, ...]) -> dict[str, Any]:
    """Describe windows as COCO does, objects by their four corners; ids from 1."""
    images = [
        {"id": i, "file_name": f"{one.name}.png", "width": WINDOW_PX, "height": WINDOW_PX}
        for i, one in enumerate(windows, start=1)
    ]
    owned = [(i, thing) for i, one in enumerate(windows, start=1) for thing in one.objects]
    annotations = []
    for n, (i, (label, corners)) in enumerate(owned, start=1):
        (x0, y0), (x1, y1) = (
            getattr(np.reshape(corners, (4, 2)), end)(axis=0).tolist() for end in ("min", "max")
        )
        annotations.append(
            {
                "id": n,
                "image_id": i,
                "category_id": classes.index(label) + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "segmentation": [corners],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
            }
        )
    categories = [{"id": k, "name": name} for k, name in enumerate(classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}
