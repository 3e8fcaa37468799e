# SPDX-License-Identifier: Apache-2.0
"""iSAID: one COCO file per split, pictures of the masks beside the images, outlines not read."""

import json

from tests.fakes import Expected, write_files

_LABELS = [{"id": 3, "name": "ship"}]


def write(root):
    images, files = {}, {}
    for split, number in (("train", "P0000"), ("val", "P0003")):
        path = f"{split}/images/{number}.png"
        files |= {path: None, f"{split}/images/{number}_instance_id_RGB.png": None}
        outline = [[1, 2, 5, 2, 5, 7, 3, 6, 1, 7]]
        data = {
            "images": [{"id": 0, "file_name": f"{number}.png", "width": 8, "height": 8}],
            "annotations": [
                {"id": 1, "image_id": 0, "category_id": 3, "bbox": [1, 2, 4, 5], "iscrowd": 0}
                | {"segmentation": outline},
                {"id": 2, "image_id": 0, "category_id": 3, "segmentation": [[0, 0, 2, 0, 1, 2]]},
            ],
            "categories": _LABELS,
        }
        files[f"{split}/Annotations/iSAID_{split}.json"] = json.dumps(data)
        boxes = [("ship", 1.0, 2.0, 5.0, 7.0), ("ship", 0.0, 0.0, 2.0, 2.0)]
        images[path] = {"split": split, "boxes": boxes}
    # Of the test split there are names alone: nobody says what is there.
    files["test/images/P0006.png"] = None
    data = {"images": [{"id": 0, "file_name": "P0006.png"}], "categories": _LABELS}
    files["test/Annotations/iSAID_test.json"] = json.dumps(data)
    images["test/images/P0006.png"] = {"split": "test"}
    write_files(root, files)
    return Expected("coco", images, frozenset(set(files) - set(images)))
