# SPDX-License-Identifier: Apache-2.0
"""LandCover.ai: whole orthophotos with masks, and the tiles cut from them with official lists."""

from tests.fakes import Expected, write_files

_OPTIONS = {
    "pairs": [
        {"images": "images", "masks": "masks"},
        {"images": "output", "masks": "output", "mask_suffix": "_m"},
    ],
    "split_lists": {"train": "train.txt", "val": "val.txt", "test": "test.txt"},
}


def write(root):
    scene = "M-33-20-D-c-4-2"
    # An orthophoto holds tiles of several splits, so it is of none.
    images = {f"images/{scene}.tif": {"mask_path": f"masks/{scene}.tif"}}
    lists = {"train": [0, 3], "val": [1], "test": [2]}
    for split, numbers in lists.items():
        for number in numbers:
            tile = f"output/{scene}_{number}"
            images[f"{tile}.jpg"] = {"split": split, "mask_path": f"{tile}_m.png"}
    masks = {str(said["mask_path"]) for said in images.values()}
    write_files(root, dict.fromkeys([*images, *masks]))
    texts = {
        f"{split}.txt": "".join(f"{scene}_{n}\n" for n in numbers)
        for split, numbers in lists.items()
    }
    write_files(root, texts)
    return Expected("mask_pairs", images, frozenset(masks | set(texts)), options=_OPTIONS)
