# SPDX-License-Identifier: Apache-2.0
"""Million-AID: train in a tree of themes, of which the last is the class; test without labels."""

from tests.fakes import Expected, write_files


def write(root):
    images = {
        "train/agriculture_land/arable_land/dry_field/P0001.jpg": {
            "split": "train",
            "label": "dry_field",
        },
        "train/transportation_land/railway_area/train_station/P0002.jpg": {
            "split": "train",
            "label": "train_station",
        },
        "train/transportation_land/railway_area/railway/P0003.jpg": {
            "split": "train",
            "label": "railway",
        },
        "test/P0004.jpg": {"split": "test"},
    }
    write_files(root, dict.fromkeys(images))
    return Expected("image_folder", images, task="classification")
