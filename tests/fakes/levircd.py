# SPDX-License-Identifier: Apache-2.0
"""LEVIR-CD, LEVIR-CD+ and WHU-CD: SPLIT/A, SPLIT/B and SPLIT/label, the same names in each."""

from tests.fakes import Expected, write_files


def write(root):
    images, masks = {}, set()
    for split in ("train", "val", "test"):
        for name in ("1.png", "2.png"):
            a, b, mask = (f"{split}/{folder}/{name}" for folder in ("A", "B", "label"))
            images[a] = {"split": split, "pair_path": b, "mask_path": mask}
            images[b] = {"split": split, "pair_path": a, "mask_path": mask}
            masks.add(mask)
    # A picture whose other one is missing has no pair, and a mask that has lost its pair is named.
    images["test/A/3.png"] = {"split": "test"}
    masks.add("test/label/3.png")
    write_files(root, dict.fromkeys([*images, *masks]))
    return Expected("change_pairs", images, frozenset(masks))
