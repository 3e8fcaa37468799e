# SPDX-License-Identifier: Apache-2.0
"""NWPU VHR-10: the same names in a positive and a negative folder; only the positive ones count."""

import json

from tests.fakes import Expected, write_files


def write(root):
    data = {
        "images": [{"id": i, "file_name": f"00{i}.jpg", "width": 8, "height": 8} for i in (1, 2)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 2, 2], "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "airplane"}],
    }
    positive, negative = "positive image set", "negative image set"
    images = {
        f"{positive}/001.jpg": {"boxes": [("airplane", 4.0, 4.0, 6.0, 6.0)]},
        f"{positive}/002.jpg": {"boxes": []},
        f"{negative}/001.jpg": {"boxes": []},
    }
    write_files(root, {**dict.fromkeys(images), "annotations.json": json.dumps(data)})
    options = {"images": positive, "empty": negative}
    return Expected("coco", images, frozenset({"annotations.json"}), options=options)
