# SPDX-License-Identifier: Apache-2.0
"""SODA-A: one JSON per image, whose `images` is one object, and boxes of four corners."""

import json

from tests.fakes import Expected, write_files


def write(root):
    images, files = {}, {}
    for split, number in (("train", "00001"), ("val", "00004")):
        poly = [3.0, 1.0, 6.0, 4.0, 3.0, 7.0, 0.5, 4.0]
        data = {
            "type": "instance",
            "images": {"file_name": f"{number}.jpg", "height": 8, "width": 8, "id": 1},
            "annotations": [{"poly": poly, "category_id": 2, "image_id": 1, "id": 1}],
            "categories": [{"id": 2, "name": "small-vehicle"}],
        }
        files |= {f"Images/{number}.jpg": None}
        files[f"Annotations/{split}/{number}.json"] = json.dumps(data)
        boxes = [("small-vehicle", 0.5, 1.0, 6.0, 7.0, tuple(poly))]
        images[f"Images/{number}.jpg"] = {"split": split, "boxes": boxes}
    files["Images/test/00006.jpg"] = None
    images["Images/test/00006.jpg"] = {"split": "test"}
    write_files(root, files)
    return Expected("coco", images, frozenset(set(files) - set(images)))
