# SPDX-License-Identifier: Apache-2.0
"""S2Looking: SPLIT/Image1, Image2, label; label1 and label2 are the mask's two halves."""

from tests.fakes import Expected, write_files


def write(root):
    images, masks = {}, set()
    for split in ("train", "test"):
        one, two = f"{split}/Image1/9.png", f"{split}/Image2/9.png"
        said = {"split": split, "mask_path": f"{split}/label/9.png"}
        images[one] = said | {"pair_path": two}
        images[two] = said | {"pair_path": one}
        masks |= {f"{split}/{folder}/9.png" for folder in ("label", "label1", "label2")}
    write_files(root, dict.fromkeys([*images, *masks]))
    return Expected("change_pairs", images, frozenset(masks))
