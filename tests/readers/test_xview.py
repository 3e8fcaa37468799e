# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rspipe.readers import READERS
from rspipe.schema import DatasetCard


def read(tree, features, classes=None):
    text = features if isinstance(features, str) else json.dumps({"features": features})
    files = tree({"train_images/1.tif": None, "xView_train.geojson": text})
    card = DatasetCard(name="x", layout="xview", classes=classes)
    return READERS["xview"].read(files, card)


def feature(box="1,2,5,7", type_id=11, image="1.tif"):
    return {"properties": {"bounds_imcoords": box, "type_id": type_id, "image_id": image}}


def test_a_class_is_called_as_the_card_says_or_by_its_number(tree):
    listing = read(tree, [feature(), feature(type_id=75)], {"Fixed-wing Aircraft": 11})
    boxes = listing.images["train_images/1.tif"].annotation.boxes
    assert [b.label for b in boxes] == ["Fixed-wing Aircraft", "75"]
    assert listing.images["train_images/1.tif"].split == "train"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (feature("4,4,4,6"), "no area"),
        (feature("4,4,4"), "not four edges"),
        (feature(""), "no coordinate"),
        (feature("1,2,5,1e99"), "no coordinate"),
        (feature(None), "no coordinate"),
    ],
)
def test_an_unusable_feature_is_named(tree, bad, why):
    listing = read(tree, [feature(), bad])
    assert len(listing.images["train_images/1.tif"].annotation.boxes) == 1
    note = listing.sidecars["xView_train.geojson"]
    assert "1 of 2 objects unusable: feature 2 of 1.tif" in note
    assert why in note


def test_features_of_absent_images_are_counted(tree):
    listing = read(tree, [feature(), feature(image="1395.tif")])
    assert "1395.tif" in listing.sidecars["xView_train.geojson"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"features": [', "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"features": [{"properties": {"bounds_imcoords": "1,1,1,1"}}]}', "1 of 1"),
        ("[]", "not an object"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_fault(tree, text, why):
    assert why in read(tree, text).faults["xView_train.geojson"]


def test_geojson_of_another_kind_is_left_to_others(tree):
    listing = read(tree, '{"features": [{"properties": {"name": "x"}}, 3]}')
    assert not listing.images
    assert not listing.sidecars
