# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.curate.config import CurateHow
from rspipe.curate.datasets import Dataset
from rspipe.curate.ingest import IngestItem, ingest
from rspipe.curate.listing import write_listing
from rspipe.readers import READERS, read_dataset
from rspipe.schema import DatasetCard
from tests.fakes import picture


def read(tree, text, card=None, **files):
    files = {"images/a.png": None, "labels/a.txt": text, **files}
    card = card or DatasetCard(name="x", layout="yolo")
    return READERS["yolo"].read(tree(files), card)


def test_names_come_from_yaml_then_text_then_card(tree):
    line = "1 0.5 0.5 0.5 0.5\n"
    card = DatasetCard(name="x", layout="yolo", classes=("a", "b"))

    def label(**files):
        listing = read(tree, line, card, **{k.replace("_", "."): v for k, v in files.items()})
        return listing.images["images/a.png"].annotation.boxes[0].label

    assert label() == "b"
    assert label(classes_txt="x\ny\n") == "y"
    assert label(data_yaml="names:\n  0: p\n  1: q\n") == "q"
    assert label(data_yaml="names: [p, q]\n") == "q"
    # A broken or foreign YAML file names nothing.
    assert label(data_yaml="names: [p, q\n") == "y"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 320 240 100 50", "not in shares of the image"),
        ("0 0.5 0.5 0.2 0.2 0.93", "5 numbers: neither a box nor an outline"),
        ("ship 0.5 0.5 0.2 0.2", "no class number"),
        ("0 0.5 0.5 0 0.2", "no area"),
        ("0 nan 0.5 0.2 0.2", "no coordinate"),
        ("0", "0 numbers"),
    ],
)
def test_an_unusable_line_is_named(tree, line, why):
    listing = read(tree, f"0 0.5 0.5 0.5 0.5\n{line}\n")
    assert len(listing.images["images/a.png"].annotation.boxes) == 1
    assert "1 of 2 objects unusable: line 2: " in listing.sidecars["labels/a.txt"]
    assert why in listing.sidecars["labels/a.txt"]
    alone = read(tree, f"{line}\n")
    assert why in alone.faults["labels/a.txt"]
    assert not alone.images


def test_an_outline_gives_the_rectangle_around_it(tree):
    listing = read(tree, "0 0.1 0.1 0.5 0.2 0.4 0.9\n0 " + "0.1 0.2 0.3 0.4 0.5 " * 2 + "\n")
    first, second = listing.images["images/a.png"].annotation.boxes
    assert (first.x0, first.y0, first.x1, first.y1) == (0.1, 0.1, 0.5, 0.9)
    assert (second.x0, second.y0, second.x1, second.y1) == (0.1, 0.1, 0.5, 0.5)


def test_boxes_are_in_pixels_once_the_image_was_opened(tree, tmp_path):
    corners = "0.5 0 1 0.5 0.5 1 0 0.5"
    card = DatasetCard(name="x", layout="yolo", classes=("ship",))
    files = tree(
        {
            "images/a.png": picture((40, 10)),
            "labels/a.txt": f"0 0.5 0.5 0.25 0.5\n0 {corners}\n",
            "images/b.png": b"broken",
            "labels/b.txt": "0 0.5 0.5 0.25 0.5\n",
        }
    )
    dataset = Dataset(card, files, read_dataset(files, card))
    listed = write_listing(dataset, tmp_path / "stages", CurateHow())
    tables = [
        ingest(IngestItem(listed.storage, listed.card, listed.folder.part(i)))
        for i in range(listed.n_partitions)
    ]
    rows = {row["source_path"]: row for table in tables for row in table.to_pylist()}
    flat, turned = rows["images/a.png"]["boxes"]
    assert (flat["x0"], flat["y0"], flat["x1"], flat["y1"]) == (15, 2.5, 25, 7.5)
    assert turned["corners"] == [20, 0, 40, 5, 20, 10, 0, 5]
    # Of an image that cannot be opened nobody knows the pixels.
    assert rows["images/b.png"]["drop_reason"] == "unreadable"
    assert rows["images/b.png"]["boxes"] is None
