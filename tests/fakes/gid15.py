# SPDX-License-Identifier: Apache-2.0
"""GID-15: img_dir/SPLIT and ann_dir/SPLIT, masks named NAME_15label.png."""

from tests.fakes import Expected, write_files


def write(root):
    names = {"train": "GF2_PMS1__L1A0000564539-MSS1", "val": "GF2_PMS1__L1A0001064454-MSS1"}
    images = {
        f"GID/img_dir/{split}/{name}.tif": {
            "split": split,
            "mask_path": f"GID/ann_dir/{split}/{name}_15label.png",
        }
        for split, name in names.items()
    }
    masks = {str(said["mask_path"]) for said in images.values()}
    images["GID/img_dir/test/GF2_PMS1__L1A0000708367-MSS1.tif"] = {"split": "test"}
    write_files(root, dict.fromkeys([*images, *masks]))
    return Expected("mask_pairs", images, frozenset(masks))
