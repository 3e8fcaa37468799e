# SPDX-License-Identifier: Apache-2.0
"""LoveDA: Train|Val/Rural|Urban/images_png and masks_png; Test has no masks."""

from tests.fakes import Expected, write_files


def write(root):
    images, sidecars = {}, set()
    for split in ("Train", "Val", "Test"):
        for scene in ("Rural", "Urban"):
            # The same name in every folder: nothing but the folder tells them apart.
            path = f"{split}/{scene}/images_png/7.png"
            mask = f"{split}/{scene}/masks_png/7.png"
            images[path] = {"split": split}
            if split != "Test":
                images[path]["mask_path"] = mask
                sidecars.add(mask)
    write_files(root, dict.fromkeys([*images, *sidecars]))
    return Expected("mask_pairs", images, frozenset(sidecars))
