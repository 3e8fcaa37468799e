# SPDX-License-Identifier: Apache-2.0
"""xBD: buildings with their damage, pairs, targets, and where a picture without CRS lies."""

import json

import pytest

from rspipe.errors import ReaderError
from rspipe.readers import FileTree, read_dataset
from rspipe.readers.xbd import parse_label
from rspipe.schema import DatasetCard
from tests.fakes.xbd import label

SQUARE = [(10.0, 20.0), (30.0, 20.0), (30.0, 40.0), (10.0, 40.0), (10.0, 20.0)]
FAR = [(900.0, 900.0), (910.0, 900.0), (910.0, 910.0), (900.0, 910.0), (900.0, 900.0)]


def test_a_label_without_a_damage_is_a_building():
    boxes = parse_label(label([(SQUARE, None), (FAR, "minor-damage")], "2017")).buildings.boxes
    assert [box.label for box in boxes] == ["building", "minor-damage"]


def test_outlines_that_contradict_each_other_give_no_footprint():
    data = json.loads(label([(SQUARE, None), (FAR, None)], "2017"))
    sound = parse_label(json.dumps(data)).geography
    assert sound.xmin == pytest.approx(-95.5, abs=1e-9)
    data["features"]["lng_lat"][1]["wkt"] = data["features"]["lng_lat"][0]["wkt"]
    broken = parse_label(json.dumps(data)).geography
    # Four corners of one house at both ends of the picture: no map fits.
    assert broken.xmin is None
    assert broken.acquired == "2017"


def test_one_house_is_left_out_and_the_others_stay():
    data = json.loads(label([(SQUARE, None), (FAR, None)], "2017"))
    data["features"]["xy"][0]["wkt"] = "POINT (1 2)"
    buildings = parse_label(json.dumps(data)).buildings
    assert len(buildings.boxes) == 1
    assert "building 1: 'POINT (1 2)' is no polygon" in buildings.unusable[0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": {}}', '{"features": {"xy": 3}}'])
def test_a_malformed_label_is_a_named_error(text):
    with pytest.raises(ReaderError, match="not a usable xBD file"):
        parse_label(text)


@pytest.mark.real_data
@pytest.mark.parametrize("layout", ["auto", "xbd"])
def test_published_tree_has_its_pairs_and_targets(real_data, layout):
    root = real_data / "layouts_synthetic/xview2"
    theirs = {}
    for path in root.glob("*/images/*.png"):
        split, stem = path.parent.parent.name, path.stem
        swap = {"pre": "post", "post": "pre"}[stem.split("_")[-2]]
        other = f"{stem.rsplit('_', 2)[0]}_{swap}_disaster"
        theirs[f"{split}/images/{path.name}"] = (
            split,
            f"{split}/images/{other}.png",
            f"{split}/targets/{stem}_target.png",
        )
    assert len(theirs) == 8
    listing = read_dataset(FileTree.scan(root), DatasetCard(name="x", layout=layout))
    assert {
        path: (r.split, r.annotation.pair_path, r.annotation.mask_path)
        for path, r in listing.images.items()
    } == theirs
    assert set(listing.sidecars) == {mask for *_, mask in theirs.values()}
