# SPDX-License-Identifier: Apache-2.0
"""UC Merced with several labels: a table with one column per class, and one for the split."""

from tests.fakes import Expected, write_files


def write(root):
    images = {
        "Images/airplane/airplane00.tif": {"label": "airplane|pavement", "split": "train"},
        "Images/beach/beach01.tif": {"label": "sand|sea", "split": "test"},
    }
    table = (
        "IMAGE;airplane;pavement;sand;sea;split\n"
        "airplane00;1;1;0;0;train\n"
        "beach01;0;0;1.0;1.0;test\n"
    )
    write_files(root, {**dict.fromkeys(images), "labels.csv": table})
    where = {"file": "labels.csv", "path": "IMAGE", "label": "*", "split": "split"}
    return Expected(
        "image_folder",
        images,
        frozenset({"labels.csv"}),
        options={"labels_csv": {**where, "delimiter": ";"}},
        recognised=False,
        task="classification",
    )
