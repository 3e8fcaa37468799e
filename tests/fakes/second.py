# SPDX-License-Identifier: Apache-2.0
"""SECOND: im1, im2, and a semantic mask of each in label1 and label2."""

from tests.fakes import Expected, write_files


def write(root):
    images = {
        "train/im1/00003.png": {
            "split": "train",
            "pair_path": "train/im2/00003.png",
            "mask_path": "train/label1/00003.png",
        },
        "train/im2/00003.png": {
            "split": "train",
            "pair_path": "train/im1/00003.png",
            "mask_path": "train/label2/00003.png",
        },
    }
    masks = {str(said["mask_path"]) for said in images.values()}
    write_files(root, dict.fromkeys([*images, *masks]))
    return Expected("change_pairs", images, frozenset(masks), recognised=False)
