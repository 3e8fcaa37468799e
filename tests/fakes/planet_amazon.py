# SPDX-License-Identifier: Apache-2.0
"""Planet's Amazon set: one folder, and a table with several tags per image."""

from tests.fakes import Expected, write_files


def write(root):
    images = {
        "train-jpg/train_0.jpg": {"label": "haze|primary", "split": "train-jpg"},
        "train-jpg/train_1.jpg": {"label": "clear", "split": "train-jpg"},
        "train-jpg/train_2.jpg": {"split": "train-jpg"},
    }
    table = "image_name,tags\ntrain_0,primary haze\ntrain_1,clear\ntrain_9,clear\n"
    write_files(root, {**dict.fromkeys(images), "train_v2.csv": table})
    where = {"file": "train_v2.csv", "path": "image_name", "label": "tags", "label_separator": " "}
    return Expected(
        "image_folder",
        images,
        frozenset({"train_v2.csv"}),
        options={"labels_csv": where},
        recognised=False,
        task="classification",
    )
