# SPDX-License-Identifier: Apache-2.0
"""Exports carry every tile, byte for byte, into what other tools read."""

import hashlib
import json
import warnings

import pytest
from datasets import load_dataset
from torchvision.datasets import ImageFolder

from rspipe.corpus.export import EXPORTS, export
from rspipe.corpus.reader import Corpus
from rspipe.errors import CorpusError


@pytest.fixture(scope="module")
def exported(small, tmp_path_factory):
    def exported(kind, name=""):
        out = tmp_path_factory.getbasetemp() / f"export-{kind}{name}"
        if not out.exists():
            export(small.corpus, out, kind)
        return out

    return exported


def digest(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


@pytest.mark.parametrize("kind", EXPORTS)
def test_the_same_corpus_gives_the_same_bytes(exported, kind):
    assert digest(exported(kind)) == digest(exported(kind, "-again"))


def test_webdataset_reads_every_tile_with_its_bytes_and_columns(small, exported):
    import webdataset

    corpus = Corpus.open(small.corpus)
    urls = [str(p) for p in sorted(exported("webdataset").glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    ids = corpus.table(["tile_id"])["tile_id"].to_pylist()
    assert [s["__key__"] for s in samples] == ids
    expected = corpus.image_bytes([0, len(ids) - 1])
    for sample, data in zip((samples[0], samples[-1]), expected, strict=True):
        assert data in sample.values()
        assert json.loads(sample["json"])["tile_id"] == sample["__key__"]


def test_an_image_folder_loads_with_torchvision_and_with_datasets(small, exported, tmp_path):
    corpus, out = Corpus.open(small.corpus), exported("image_folder")
    pictures = load_dataset(
        "imagefolder", data_dir=str(out), split="train", cache_dir=str(tmp_path)
    )
    assert len(pictures) == len(corpus)
    assert {"image", "dataset", "licence", "tile_id"} <= set(pictures.column_names)
    picture, _ = ImageFolder(str(out))[0]
    assert picture.size[0] > 0


def test_croissant_metadata_is_valid_and_reads_the_tiles(small, exported):
    import mlcroissant

    out, corpus = exported("hugging_face"), Corpus.open(small.corpus)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
        assert not data.metadata.ctx.issues.errors
        records = data.records("tiles")
        first = next(iter(records))
    ids = corpus.table(["tile_id"])["tile_id"].to_pylist()
    assert first["tiles/tile_id"] in {ids[0], ids[0].encode()}


def test_the_hugging_face_folder_loads_and_names_its_sources(small, exported, tmp_path):
    out = exported("hugging_face")
    files = str(out / "data/*.parquet")
    tiles = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert len(tiles) == len(Corpus.open(small.corpus))
    said = (out / "ATTRIBUTION.md").read_text()
    assert all(f"## {name}" in said for name in set(tiles["dataset"]))


def test_an_unknown_kind_names_the_valid_ones(small, tmp_path):
    with pytest.raises(CorpusError, match="webdataset"):
        export(small.corpus, tmp_path / "x", "tfrecord")
