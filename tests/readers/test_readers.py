# SPDX-License-Identifier: Apache-2.0
"""The table of readers, and the cards that name them."""

import re
from pathlib import Path

import pytest

from rspipe.catalog import card_for, catalog
from rspipe.errors import RecipeError
from rspipe.readers import READERS, FileTree, read_dataset
from rspipe.readers.base import SHARED_OPTIONS
from rspipe.schema import DatasetCard
from tests.fakes import write_files


def test_an_unknown_layout_names_the_nearest(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'voc'"):
        read_dataset(FileTree.scan(tmp_path), DatasetCard(name="x", layout="vocc"))


def test_the_folder_own_card_goes_before_the_catalog(tmp_path):
    folder = tmp_path / "eurosat"
    folder.mkdir()
    assert card_for(folder).title == catalog()["eurosat"].title
    (folder / "dataset.yaml").write_text("name: mine\nlayout: scenes\n")
    assert card_for(folder).name == "mine"
    (folder / "dataset.yaml").write_text("name: mine\nlicense: MIT\n")
    with pytest.raises(RecipeError, match="did you mean 'licence'"):
        card_for(folder)


def test_every_catalog_card_names_readers_and_their_options(tmp_path):
    tree = FileTree.scan(tmp_path)
    for card in catalog().values():
        # Options that name files need them to be there; all others are checked on an empty tree.
        options = {k: v for k, v in card.options.items() if k != "split_lists"}
        read_dataset(tree, card.model_copy(update={"options": options}))


def test_images_without_labels_keep_the_split_of_their_list_or_folder(tmp_path):
    boxes = "<annotation><object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
    boxes += "<xmax>3</xmax><ymax>3</ymax></bndbox></object></annotation>"
    files = {"a/1.jpg": None, "a/2.jpg": None, "a/3.jpg": None, "val/4.jpg": None}
    files |= {"Annotations/1.xml": boxes, "ImageSets/test.txt": "2\n", "ImageSets/train.txt": "1\n"}
    write_files(tmp_path, files)
    card = DatasetCard(name="x", layout="voc", benchmark_splits=("test", "val"))
    images = read_dataset(FileTree.scan(tmp_path), card).images
    found = {path: (r.split, r.annotation.boxes is None) for path, r in images.items()}
    # Of 3.jpg nothing is known: it is an image all the same, and no reader's business.
    assert found == {
        "a/1.jpg": ("train", False),
        "a/2.jpg": ("test", True),
        "val/4.jpg": ("val", True),
    }


def test_the_page_on_layouts_names_every_layout_and_option():
    page = (Path(__file__).parents[2] / "docs/layouts.md").read_text()
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `")}
    assert set(rows) == set(READERS)
    for name, reader in READERS.items():
        assert {f"`{option}`" for option in reader.options} <= set(
            re.findall("`[^`]+`", rows[name])
        )
    assert all(f"`{option}`" in page for option in SHARED_OPTIONS)
