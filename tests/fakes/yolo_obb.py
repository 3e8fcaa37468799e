# SPDX-License-Identifier: Apache-2.0
"""Oriented YOLO as Roboflow lays it out: four corners in shares of the image, classes.txt."""

from tests.fakes import Expected, write_files


def write(root):
    corners = (0.5, 0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 0.5)
    words = " ".join(map(str, corners))
    images, files = {}, {"classes.txt": "ship\nplane\n"}
    for split in ("train", "valid"):
        files[f"{split}/labels/a.txt"] = f"1 {words}\n7 {words}\n"
        boxes = [(label, 0.0, 0.0, 1.0, 1.0, corners) for label in ("plane", "7")]
        images[f"{split}/images/a.jpg"] = {"split": split, "boxes": boxes}
        images[f"{split}/images/a.jpg"]["boxes_normalised"] = True
    write_files(root, {**dict.fromkeys(images), **files})
    return Expected("yolo", images, frozenset(files))
