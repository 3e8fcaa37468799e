# SPDX-License-Identifier: Apache-2.0
"""EuroSAT as TorchGeo ships it: three kinds of lists, of which the card must name one."""

from tests.fakes import Expected, write_files

_LISTS = {"train": ["Forest_1", "River_1"], "val": ["Forest_2"], "test": ["River_2"]}


def write(root):
    images = {
        f"2750/{name.partition('_')[0]}/{name}.jpg": {
            "label": name.partition("_")[0],
            "split": split,
        }
        for split, names in _LISTS.items()
        for name in names
    }
    # The official lists name the multispectral files; the other kinds say something else.
    texts = {
        f"eurosat{kind}-{split}.txt": "".join(f"{n}.tif\n" for n in names)
        for kind, lists in {
            "": _LISTS,
            "-spatial": {"train": _LISTS["test"], "test": _LISTS["train"]},
        }.items()
        for split, names in lists.items()
    }
    write_files(root, {**dict.fromkeys(images), **texts})
    return Expected(
        "image_folder",
        images,
        # The lists that the card does not name are plain documents.
        frozenset(f"eurosat-{split}.txt" for split in _LISTS),
        options={"split_lists": {split: f"eurosat-{split}.txt" for split in _LISTS}},
        task="classification",
    )
