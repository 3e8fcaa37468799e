# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rspipe.readers import READERS
from rspipe.schema import DatasetCard

BOX = {"category": "airport", "box": [1, 2, 4, 5]}


def read(tree, *boxes, **more):
    text = json.dumps({"bounding_boxes": list(boxes)} | more)
    files = tree({"train/airport/a_0_rgb.jpg": None, "train/airport/a_0_rgb.json": text})
    return READERS["fmow"].read(files, DatasetCard(name="x", layout="fmow"))


def only(listing):
    return listing.images["train/airport/a_0_rgb.jpg"]


@pytest.mark.parametrize(
    ("categories", "label"),
    [
        (["airport"], "airport"),
        (["airport", "airport"], "airport"),
        (["zoo", "airport"], "airport|zoo"),
        (["false_detection", "airport"], "airport"),
        (["false_detection"], "false_detection"),
    ],
)
def test_the_label_is_the_category_of_the_boxes(tree, categories, label):
    listing = read(tree, *({**BOX, "category": c} for c in categories))
    assert only(listing).annotation.label == label
    assert [b.label for b in only(listing).annotation.boxes] == categories


def test_without_a_category_there_is_neither_label_nor_box(tree):
    listing = read(tree, {"box": [1, 2, 4, 5]}, {"box": [1, 2, 4, 5], "category": "?"})
    assert (only(listing).annotation.label, only(listing).annotation.boxes) == (None, None)
    assert "2 boxes without a category" in listing.sidecars["train/airport/a_0_rgb.json"]


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ({"cloud_cover": 35}, "cloud_cover", 0.35),
        ({"cloud_cover": 350}, "cloud_cover", None),
        ({"gsd": 0.4873}, "gsd_m", 0.4873),
        ({"gsd": -1}, "gsd_m", None),
        ({"gsd": "x"}, "gsd_m", None),
        ({"timestamp": "2016-02-28T10:11:12.345Z"}, "acquired", "2016-02-28T10:11:12.345Z"),
        ({"timestamp": "yesterday"}, "acquired", None),
        ({"sensor_platform_name": "GEOEYE01"}, "sensor", "GEOEYE01"),
        ({"raw_location": "POLYGON ((1 2, 3 2, 3 4, 1.5 -4.25))"}, "ymin", -4.25),
        ({"raw_location": "POLYGON ((1 2, 3 2, 3 400))"}, "ymin", None),
        ({"raw_location": "nowhere"}, "xmin", None),
        ({"raw_location": 7}, "xmin", None),
    ],
)
def test_geography_is_taken_where_it_is_possible(tree, more, field, value):
    assert getattr(only(read(tree, BOX, **more)).geography, field) == value


def test_an_unusable_box_is_named(tree):
    bad = [{**BOX, "box": box} for box in ([1, 1, 0, 3], [1], None)]
    listing = read(tree, BOX, *bad)
    assert len(only(listing).annotation.boxes) == 1
    assert "3 of 4 objects unusable" in listing.sidecars["train/airport/a_0_rgb.json"]


def test_other_json_is_left_to_others(tree):
    files = tree({"a.jpg": None, "a.json": '{"x": 1}', "b.json": "["})
    listing = READERS["fmow"].read(files, DatasetCard(name="x", layout="fmow"))
    assert not listing.images
    assert not listing.sidecars
