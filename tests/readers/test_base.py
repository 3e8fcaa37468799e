# SPDX-License-Identifier: Apache-2.0
"""What all readers share: splits, declared sidecars, and two readers on one tree."""

import pytest

from rspipe.errors import RecipeError
from rspipe.readers import FileTree, read_dataset
from rspipe.readers.base import Listing, record, split_in_path
from rspipe.schema import DatasetCard

CARD = DatasetCard(name="x")


def test_of_two_listings_the_first_word_counts_and_the_second_fills_in():
    first = Listing(
        {"a.png": record("a.png", CARD, boxes=())}, {"m.png": "mask"}, {"bad.json": "broken"}
    )
    second = Listing(
        {
            "a.png": record("a.png", CARD, "train", boxes=None, mask_path="m.png"),
            "m.png": record("m.png", CARD),
            "b.png": record("b.png", CARD),
        },
        {"a.png": "never", "notes.csv": "table", "bad.json": "annotation"},
    )
    both = first | second
    assert set(both.images) == {"a.png", "b.png"}
    assert both.images["a.png"].annotation.boxes == ()
    assert both.images["a.png"].annotation.mask_path == "m.png"
    assert both.images["a.png"].split == "train"
    assert both.sidecars == {"m.png": "mask", "notes.csv": "table"}
    assert both.faults == {"bad.json": "broken"}


def test_declared_patterns_name_the_split_before_the_folders_do():
    card = DatasetCard(name="x", options={"split_patterns": {"val": r"images/[a-z]+[1-5]\.tif$"}})
    assert split_in_path("train/images/austin5.tif", card) == "val"
    assert split_in_path("train/images/austin15.tif", card) == "train"


@pytest.fixture
def tree(tmp_path):
    for name in ("a.png", "quicklooks/a.png", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return FileTree.scan(tmp_path)


def test_declared_sidecars_are_no_images_whatever_the_reader_says(tree):
    options = {"sidecars": {"^quicklooks/": "quick look"}}
    listing = read_dataset(tree, DatasetCard(name="x", layout="image_folder", options=options))
    assert set(listing.images) == {"a.png"}
    assert listing.sidecars == {"quicklooks/a.png": "quick look"}


def test_an_option_that_no_reader_knows_names_the_nearest(tree):
    card = DatasetCard(name="x", layout="mask_pairs+scenes", options={"mask": "gt"})
    with pytest.raises(RecipeError, match="did you mean 'masks'"):
        read_dataset(tree, card)


def test_a_broken_pattern_is_an_error_of_the_card(tree):
    card = DatasetCard(name="x", layout="scenes", options={"sidecars": {"(": "x"}})
    with pytest.raises(RecipeError, match="no regular expression"):
        read_dataset(tree, card)
