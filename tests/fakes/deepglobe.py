# SPDX-License-Identifier: Apache-2.0
"""DeepGlobe land cover and roads: N_sat.jpg and N_mask.png in one folder; valid has no masks."""

from tests.fakes import Expected, write_files


def write(root):
    images = {
        "train/119_sat.jpg": {"split": "train", "mask_path": "train/119_mask.png"},
        "train/606_sat.jpg": {"split": "train", "mask_path": "train/606_mask.png"},
        "valid/53987_sat.jpg": {"split": "valid"},
        "test/119_sat.jpg": {"split": "test"},
    }
    masks = {"train/119_mask.png", "train/606_mask.png"}
    # A mask of an image that was not published; the image 119 of the test split is another one.
    orphan = {"train/9_mask.png"}
    write_files(root, dict.fromkeys([*images, *masks, *orphan]))
    return Expected("mask_pairs", images, frozenset(masks | orphan))
