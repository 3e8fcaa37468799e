# SPDX-License-Identifier: Apache-2.0
"""RESISC-45 as TorchGeo ships it: class folders, one list of names per split beside them."""

from tests.fakes import Expected, write_files


def write(root):
    classes = ("airplane", "train_station", "baseball_diamond")
    images, lists = {}, {"train": [], "val": [], "test": []}
    for name in classes:
        for number, split in ((1, "train"), (2, "val"), (3, "test"), (4, None)):
            file = f"{name}_{number:03}.jpg"
            images[f"NWPU-RESISC45/{name}/{file}"] = {"label": name}
            if split is not None:
                images[f"NWPU-RESISC45/{name}/{file}"]["split"] = split
                lists[split].append(file)
    texts = {f"resisc45-{s}.txt": "\n".join(names) for s, names in lists.items()}
    write_files(root, {**dict.fromkeys(images), **texts})
    return Expected("image_folder", images, frozenset(texts), task="classification")
