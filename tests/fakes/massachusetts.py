# SPDX-License-Identifier: Apache-2.0
"""Massachusetts roads and buildings: tiff/train and tiff/train_labels, .tiff and .tif."""

from tests.fakes import Expected, write_files

_OPTIONS = {
    "image_pattern": r"(?:^|/)(train|val|test)/([^/]+)\.tiff?$",
    "mask_pattern": r"(?:^|/)(train|val|test)_labels/([^/]+)\.tiff?$",
}


def write(root):
    images, masks = {}, set()
    for split in ("train", "val", "test"):
        # The number is the same in every split.
        mask = f"tiff/{split}_labels/22678915_15.tif"
        images[f"tiff/{split}/22678915_15.tiff"] = {"split": split, "mask_path": mask}
        masks.add(mask)
    write_files(root, dict.fromkeys([*images, *masks]))
    return Expected("mask_pairs", images, frozenset(masks), options=_OPTIONS, recognised=False)
