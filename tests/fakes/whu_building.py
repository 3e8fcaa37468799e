# SPDX-License-Identifier: Apache-2.0
"""WHU building: train|val|test/image and label, the same numbers in every split."""

from tests.fakes import Expected, write_files


def write(root):
    images = {
        f"{split}/image/0.tif": {"split": split, "mask_path": f"{split}/label/0.tif"}
        for split in ("train", "val", "test")
    }
    masks = {said["mask_path"] for said in images.values()}
    write_files(root, dict.fromkeys([*images, *masks]))
    return Expected("mask_pairs", images, frozenset(masks))
