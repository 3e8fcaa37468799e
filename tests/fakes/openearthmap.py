# SPDX-License-Identifier: Apache-2.0
"""OpenEarthMap: REGION/images and REGION/labels; the lists name files, one of them absent."""

from tests.fakes import Expected, write_files


def write(root):
    splits = {"aachen_1": "train", "aachen_2": "val", "tokyo_1": "train", "tokyo_2": "test"}
    images, masks = {}, set()
    for name, split in splits.items():
        region = f"OpenEarthMap_wo_xBD/{name.split('_')[0]}"
        images[f"{region}/images/{name}.tif"] = {"split": split}
        if split != "test":
            images[f"{region}/images/{name}.tif"]["mask_path"] = f"{region}/labels/{name}.tif"
            masks.add(f"{region}/labels/{name}.tif")
    write_files(root, dict.fromkeys([*images, *masks]))
    texts = {
        f"OpenEarthMap_wo_xBD/{split}.txt": "".join(
            f"{name}.tif\n" for name in [*splits, "xbd_9"] if splits.get(name, "train") == split
        )
        for split in ("train", "val", "test")
    }
    write_files(root, texts)
    return Expected("mask_pairs", images, frozenset(masks | set(texts)))
