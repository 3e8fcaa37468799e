# SPDX-License-Identifier: Apache-2.0
"""DOTA 1.5 as published: two kinds of labels in folders of their own, and older ones of 1.0."""

from tests.fakes import Expected, write_files

_HEAD = "imagesource:GoogleEarth\ngsd:{gsd}\n"


def write(root):
    images, files = {}, {}
    for split, number, gsd in (("train", "P0000", "0.5"), ("val", "P0003", "null")):
        path = f"{split}/images/{number}.png"
        files[path] = None
        labels = {
            "labelTxt-v1.0/labelTxt": "1 1 4 1 4 3 1 3 ship 0\n",
            "labelTxt-v1.5/DOTA-v1.5_hbb": "1 1 6 1 6 6 1 6 ship 0\n",
            "labelTxt-v1.5/DOTA-v1.5": "3.0 1 6 4 3 6 1 4 ship 0\n2 2 3 2 3 3 2 3 crane 2\n",
        }
        for folder, lines in labels.items():
            files[f"{split}/{folder}/{number}.txt"] = _HEAD.format(gsd=gsd) + lines
        images[path] = {
            "split": split,
            "sensor": "GoogleEarth",
            "boxes": [
                ("ship", 1.0, 1.0, 6.0, 6.0, (3.0, 1.0, 6.0, 4.0, 3.0, 6.0, 1.0, 4.0)),
                ("crane", 2.0, 2.0, 3.0, 3.0, (2.0, 2.0, 3.0, 2.0, 3.0, 3.0, 2.0, 3.0)),
            ],
        }
        images[path] |= {} if gsd == "null" else {"gsd_m": 0.5}
    files["train/labelTxt-v1.5/DOTA-v1.5/P9999.txt"] = "1 1 4 1 4 3 1 3 ship 0\n"
    write_files(root, files)
    return Expected("dota", images, frozenset(set(files) - set(images)))
