# SPDX-License-Identifier: Apache-2.0
"""COCO with boxes in one file and captions in another; names with folders, dates."""

import json

from tests.fakes import Expected, write_files


def write(root):
    entries = [
        {"id": i, "file_name": f"{place}/a.png"}
        for i, place in enumerate(("north", "south"), start=1)
    ]
    for entry in entries:
        entry["date_captured"] = f"2020-07-0{entry['id']} 10:00:00"
    boxes = {
        "images": entries,
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [i, 1, 2, 3]} for i in (1, 2)
        ],
        "categories": [{"id": 1, "name": "ship"}],
    }
    captions = {
        "images": entries,
        "annotations": [{"id": 1, "image_id": 2, "caption": "a ship at sea"}],
    }
    images = {
        "images/north/a.png": {
            "split": "val",
            "boxes": [("ship", 1.0, 1.0, 3.0, 4.0)],
            "acquired": "2020-07-01T10:00:00",
        },
        "images/south/a.png": {
            "split": "val",
            "boxes": [("ship", 2.0, 1.0, 4.0, 4.0)],
            "acquired": "2020-07-02T10:00:00",
            "caption": "a ship at sea",
        },
    }
    files = {
        "annotations/instances_val2017.json": json.dumps(boxes),
        "annotations/captions_val2017.json": json.dumps(captions),
    }
    write_files(root, {**dict.fromkeys(images), **files})
    return Expected("coco", images, frozenset(files))
