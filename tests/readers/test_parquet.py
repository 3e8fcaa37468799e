# SPDX-License-Identifier: Apache-2.0
"""Parquet data sets as `datasets` and rspipe write them, row by row."""

import io

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Pillow

from rspipe.corpus.reader import Corpus
from rspipe.curate.config import CurateRecipe
from rspipe.curate.runner import curate
from rspipe.readers import FileTree, read_dataset
from rspipe.schema import DatasetCard


def picture(seed, side=40):
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": f"{seed}.png"}


@pytest.fixture
def hugging_face(tmp_path):
    """A data set as `datasets` writes it: two splits, numbered labels, captions, masks."""
    root = tmp_path / "data" / "set"
    features = Features(
        {
            "image": Image(),
            "label": ClassLabel(names=["forest", "river"]),
            "text": Value("string"),
            "mask": Image(),
        }
    )
    for split, seeds in {"train": range(5), "test": range(5, 8)}.items():
        rows = {
            "image": [picture(s) for s in seeds],
            "label": [s % 2 for s in seeds],
            "text": [f"picture {s}" for s in seeds],
            "mask": [picture(100 + s) for s in seeds],
        }
        file = root / "data" / f"{split}-00000-of-00001.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_dict(rows, features=features).to_parquet(file)
    return root


def test_rows_of_a_hugging_face_data_set_are_images_with_names_splits_captions_and_masks(
    hugging_face,
):
    tree = FileTree.scan(hugging_face)
    listing = read_dataset(tree, DatasetCard(name="set"))
    assert len(listing.images) == 8
    for path, found in listing.images.items():
        file, row, column = path.rsplit("/", 2)
        seed = int(row) + (5 if "test" in file else 0)
        assert column == "image"
        assert tree.storage.read_bytes(path) == picture(seed)["bytes"]
        assert found.annotation.label == ("forest", "river")[seed % 2]
        assert found.annotation.caption == f"picture {seed}"
        assert found.split == ("train" if seed < 5 else "test")
        mask = found.annotation.mask_path
        assert tree.storage.read_bytes(mask) == picture(100 + seed)["bytes"]
        assert listing.sidecars[mask] == "mask"


def test_a_parquet_data_set_curates_into_the_same_pictures(hugging_face, tmp_path):
    recipe = CurateRecipe(
        name="t", data=hugging_face.parent, out=tmp_path / "c", stages=tmp_path / "s"
    )
    corpus = Corpus.open(curate(recipe))
    assert len(corpus) == 8
    packed = corpus.image_bytes(range(8))
    assert set(packed) == {picture(s)["bytes"] for s in range(8)}


def test_a_corpus_read_as_a_data_set_says_what_it_said(small):
    corpus = Corpus.open(small.corpus)
    listing = read_dataset(FileTree.scan(small.corpus / "data"), DatasetCard(name="c"))
    assert len(listing.images) == len(corpus)
    columns = corpus.table(["label", "boxes", "gsd_m", "split"]).to_pylist()
    for row, (_, found) in zip(columns, sorted(listing.images.items()), strict=True):
        assert found.annotation.label == row["label"]
        assert found.geography.gsd_m == row["gsd_m"]
        said = None if row["boxes"] is None else len(row["boxes"])
        assert said == (None if found.annotation.boxes is None else len(found.annotation.boxes))


def test_a_column_that_is_not_there_is_named(hugging_face):
    card = DatasetCard(name="set", layout="parquet", options={"label": "klass"})
    listing = read_dataset(FileTree.scan(hugging_face), card)
    assert not listing.images
    assert all("no column 'klass'" in why for why in listing.faults.values())
