# SPDX-License-Identifier: Apache-2.0
"""LEVIR-CD as 256 px crops: A, B, label at the root; the name's beginning is the split."""

from tests.fakes import Expected, write_files


def write(root):
    images, masks = {}, set()
    for name, split in (("train_1_0.png", "train"), ("val_1_0.png", "val"), ("x.png", None)):
        said = {"mask_path": f"label/{name}"} | ({"split": split} if split else {})
        images[f"A/{name}"] = said | {"pair_path": f"B/{name}"}
        images[f"B/{name}"] = said | {"pair_path": f"A/{name}"}
        masks.add(f"label/{name}")
    write_files(root, dict.fromkeys([*images, *masks]))
    return Expected("change_pairs", images, frozenset(masks))
