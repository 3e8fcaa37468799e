# SPDX-License-Identifier: Apache-2.0
"""RSICD: captions, several an image, and splits in the entries of one JSON."""

import json

from tests.fakes import Expected, write_files


def write(root):
    entries = [
        {
            "filename": f"airport_{i}.jpg",
            "imgid": i,
            "split": split,
            "sentences": [{"raw": "a runway ."}, {"raw": f"{i} planes are parked . "}],
        }
        for i, split in enumerate(("train", "val", "test"))
    ]
    images = {
        f"RSICD_images/{entry['filename']}": {
            "split": entry["split"],
            "caption": f"a runway .\n{entry['imgid']} planes are parked .",
        }
        for entry in entries
    }
    data = json.dumps({"images": entries, "dataset": "rsicd"})
    write_files(root, {**dict.fromkeys(images), "dataset_rsicd.json": data})
    return Expected("coco", images, frozenset({"dataset_rsicd.json"}))
