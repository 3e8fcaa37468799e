# SPDX-License-Identifier: Apache-2.0
"""COWC: the same names in every place and split; labels follow the name in the lists."""

from tests.fakes import Expected, write_files


def write(root):
    images, texts = {}, {}
    for split, label in (("train", "1"), ("test", "0")):
        paths = [f"{place}/{split}/a_01.png" for place in ("Utah_AGRC", "Toronto_ISPRS")]
        images |= {p: {"split": split, "label": {"1": "car", "0": "none"}[label]} for p in paths}
        text = "".join(f"{path} {label}\n" for path in paths)
        texts[f"COWC_{split}_list_detection.txt"] = text
    write_files(root, {**dict.fromkeys(images), **texts})
    options = {"label_from": "list", "label_names": {"1": "car", "0": "none"}}
    return Expected(
        "image_folder", images, frozenset(texts), options=options, task="classification"
    )
