# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to an annotation file: no reader stops, and what it says holds."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rspipe.curate.config import CurateHow
from rspipe.curate.datasets import Dataset
from rspipe.curate.ingest import IngestItem, ingest
from rspipe.curate.listing import write_listing
from rspipe.errors import RecipeError
from rspipe.io.images import claims_image
from rspipe.readers import FileTree, read_dataset
from rspipe.schema import DatasetCard
from tests.fakes import fakes

FAKES = fakes()
TEXTS = ("voc", "hrsc", "fair1m", "dota", "yolo", "xview", "fmow", "coco", "image_folder")
POISON = (
    *("", "NaN", "-1e999", "1e308", "99999999999999999999", "null", "[]", "{}", '"', "<", "\x00"),
    *("&amp;", "&x;", "\ufffd", "\ud7ff", "-", "true", "0 0", "\n\n", "[" * 5000),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write a fake once, and give its root, what to expect, and its texts as they were."""
    known = {}

    def written(name):
        if name not in known:
            root = tmp_path_factory.mktemp(name)
            expected = FAKES[name](root)
            paths = [p for p in sorted(root.rglob("*")) if p.is_file()]
            others = [p for p in paths if not claims_image(p.name)]
            is_text = expected.layout in TEXTS
            known[name] = root, expected, {p: p.read_text() for p in others if is_text}
        return known[name]

    return written


@st.composite
def damage(draw, text):
    """Cut a piece out, and put something else there."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 40)))
    return text[:start] + draw(st.sampled_from(POISON)) + text[end:]


@pytest.mark.parametrize("name", FAKES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_annotation_stops_no_reader(written, name, data):
    root, expected, texts = written(name)
    if not texts:
        pytest.skip("holds no text that these readers read")
    path = data.draw(st.sampled_from(sorted(texts)))
    path.write_text(data.draw(damage(texts[path])))
    try:
        tree = FileTree.scan(root)
        card = DatasetCard(
            name="x", layout=expected.layout, task=expected.task, options=dict(expected.options)
        )
        try:
            listing = read_dataset(tree, card)
        except RecipeError:
            # A table whose columns are not those that the card names.
            assert "labels_csv" in expected.options
            return
        named = [*listing.images, *listing.sidecars, *listing.faults]
        assert len(named) == len(set(named))
        assert set(named) <= set(tree.paths)
        for record in listing.images.values():
            for box in record.annotation.boxes or ():
                numbers = (box.x0, box.y0, box.x1, box.y1, *(box.corners or ()))
                assert all(math.isfinite(v) for v in numbers)
                assert box.x1 > box.x0
                assert box.y1 > box.y0
                assert box.label
    finally:
        path.write_text(texts[path])


def ingested(dataset, stages):
    listed = write_listing(dataset, stages, CurateHow())
    parts = [listed.folder.part(i) for i in range(listed.n_partitions)]
    tables = [ingest(IngestItem(listed.storage, listed.card, part)) for part in parts]
    return {row["source_path"]: row for table in tables for row in table.to_pylist()}


BROKEN = {
    "dior": ("Annotations/Oriented Bounding Boxes/00001.xml", "<annotation"),
    "hrsc2016": ("FullDataSet/Annotations/100000001.xml", "<HRSC_Image>"),
    "fair1m": ("train/part1/labelXml/0.xml", "no xml"),
    "dota": ("train/labelTxt-v1.5/DOTA-v1.5/P0000.txt", "<html>"),
    "yolo": ("labels/train/a.txt", "0 12 15 20 20"),
    "xview": ("xView_train.geojson", '{"type": "FeatureCollection", "bounds_imcoords'),
    "fmow": ("train/airport/airport_0/airport_0_0_rgb.json", '{"bounding_boxes": ['),
    "isaid": ("train/Annotations/iSAID_train.json", '{"images": ['),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_a_row_of_the_ledger_and_its_images_stay(name, tmp_path, tmp_path_factory):
    expected = FAKES[name](tmp_path)
    path, text = BROKEN[name]
    (tmp_path / path).write_text(text)
    tree = FileTree.scan(tmp_path)
    card = DatasetCard(name="x", layout=expected.layout)
    dataset = Dataset(card, tree, read_dataset(tree, card))
    rows = ingested(dataset, tmp_path_factory.mktemp("stages"))
    assert rows[path]["drop_reason"] == "bad_annotation"
    assert rows[path]["drop_detail"]
    assert {p for p, row in rows.items() if row["drop_reason"] is None} >= set(expected.images)


def test_what_was_left_out_of_a_file_stands_in_the_ledger(tmp_path, tmp_path_factory):
    FAKES["dota"](tmp_path)
    path = "train/labelTxt-v1.5/DOTA-v1.5/P0000.txt"
    (tmp_path / path).write_text("1 1 4 1 4 3 1 3 ship 0\n1 1 1 1 1 1 1 1 ship 0\n")
    tree = FileTree.scan(tmp_path)
    card = DatasetCard(name="x", layout="dota")
    dataset = Dataset(card, tree, read_dataset(tree, card))
    rows = ingested(dataset, tmp_path_factory.mktemp("stages"))
    assert rows[path]["drop_reason"] == "sidecar"
    assert rows[path]["drop_detail"].startswith(
        "annotation; 1 of 2 objects unusable: line 2: 'ship' has no area"
    )
    assert len(rows["train/images/P0000.png"]["boxes"]) == 1
