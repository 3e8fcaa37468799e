# SPDX-License-Identifier: Apache-2.0
"""YOLO as Ultralytics lays it out: shares of the image, names in data.yaml."""

from tests.fakes import Expected, write_files


def write(root):
    images = {
        "images/train/a.jpg": {"split": "train", "boxes": [("plane", 0.25, 0.25, 0.75, 0.5)]},
        "images/train/b.jpg": {"split": "train", "boxes": []},
        "images/val/a.jpg": {"split": "val", "boxes": [("ship", 0.0, 0.0, 0.5, 1.0)]},
    }
    for said in images.values():
        said["boxes_normalised"] = True
    files = {
        "labels/train/a.txt": "1 0.5 0.375 0.5 0.25\n",
        "labels/train/b.txt": "",
        "labels/val/a.txt": "0 0.25 0.5 0.5 1\n",
        "data.yaml": "train: images/train\nval: images/val\nnc: 2\nnames: [ship, plane]\n",
    }
    # Without a label file: nobody looked.
    images["images/val/c.jpg"] = {"split": "val"}
    write_files(root, {**dict.fromkeys(images), **files})
    return Expected("yolo", images, frozenset(files))
