# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import pytest

from rspipe.readers import READERS, FileTree
from rspipe.schema import DatasetCard

OBJECT = (
    "<object><coordinate>{coordinate}</coordinate><possibleresult><name>Tugboat</name>"
    "</possibleresult><points>{points}</points></object>"
)


def read(tree, *objects):
    text = f"<annotation><objects>{''.join(objects)}</objects></annotation>"
    files = tree({"images/0.tif": None, "labelXml/0.xml": text})
    return READERS["fair1m"].read(files, DatasetCard(name="x", layout="fair1m"))


def points(*pairs):
    return "".join(f"<point>{pair}</point>" for pair in pairs)


CORNERS = ("1,1", "5,1", "5,4", "1,4")


@pytest.mark.parametrize("pairs", [CORNERS, (*CORNERS, CORNERS[0])])
def test_the_closing_point_is_no_corner(tree, pairs):
    listing = read(tree, OBJECT.format(coordinate="pixel", points=points(*pairs)))
    (box,) = listing.images["images/0.tif"].annotation.boxes
    assert (box.label, box.corners) == ("Tugboat", (1, 1, 5, 1, 5, 4, 1, 4))


@pytest.mark.parametrize(
    ("coordinate", "pairs", "why"),
    [
        ("geo", CORNERS, "coordinates 'geo', not pixels"),
        ("pixel", CORNERS[:3], "3 corners, not four"),
        ("pixel", ("1,1", "5,1", "5,4", "1,x"), "no coordinate"),
        ("pixel", ("1,1", "5,1", "5", "1,4"), "corners, not four"),
        ("pixel", ("1,1",) * 5, "no area"),
    ],
)
def test_an_unusable_object_is_named(tree, coordinate, pairs, why):
    good = OBJECT.format(coordinate="pixel", points=points(*CORNERS))
    bad = OBJECT.format(coordinate=coordinate, points=points(*pairs))
    listing = read(tree, good, bad)
    assert len(listing.images["images/0.tif"].annotation.boxes) == 1
    assert why in listing.sidecars["labelXml/0.xml"]


@pytest.mark.real_data
def test_the_layout_reads_as_its_text_says(real_data):
    root = real_data / "layouts_synthetic/fair1m"
    card = DatasetCard(name="x", layout="fair1m")
    listing = READERS["fair1m"].read(FileTree.scan(root), card)
    files = sorted(root.rglob("*.xml"))
    assert len(listing.images) == len(files) == 12
    for file in files:
        text = file.read_text()
        image = file.parent.parent / "images" / f"{file.stem}.tif"
        record = listing.images[image.relative_to(root).as_posix()]
        assert record.split == Path(file.relative_to(root)).parts[0]
        names = re.findall(r"<name>(.*?)</name>", text)
        pairs = re.findall(r"<point>([\d.]+),([\d.]+)</point>", text)
        by_hand = [
            (name, *(float(v) for pair in pairs[5 * i : 5 * i + 4] for v in pair))
            for i, name in enumerate(names)
        ]
        assert [(b.label, *b.corners) for b in record.annotation.boxes] == by_hand
