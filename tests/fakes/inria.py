# SPDX-License-Identifier: Apache-2.0
"""Inria: train/images and train/gt; the usual validation is the first five tiles of each city."""

from tests.fakes import Expected, write_files

_OPTIONS = {"split_patterns": {"val": r"train/images/[a-z-]+[1-5]\.tif$"}}


def write(root):
    base = "AerialImageDataset"
    images = {f"{base}/test/images/bellingham1.tif": {"split": "test"}}
    masks = set()
    for city in ("austin", "tyrol-w"):
        for number in (1, 5, 6, 15, 36):
            mask = f"{base}/train/gt/{city}{number}.tif"
            split = "val" if number <= 5 else "train"
            images[f"{base}/train/images/{city}{number}.tif"] = {"split": split, "mask_path": mask}
            masks.add(mask)
    write_files(root, dict.fromkeys([*images, *masks]))
    return Expected("mask_pairs", images, frozenset(masks), options=_OPTIONS)
