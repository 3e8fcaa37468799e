# SPDX-License-Identifier: Apache-2.0
"""Laws of the whole curation: nothing is lost, the funnel adds up, a killed run ends the same."""

import hashlib
import json
from collections import Counter
from dataclasses import replace

import imagehash
import numpy as np
import pytest
from PIL import Image

from rspipe.corpus.reader import Corpus
from rspipe.corpus.verify import verify
from rspipe.curate.config import CurateRecipe
from rspipe.curate.dedup.hashing import orient
from rspipe.curate.runner import curate
from rspipe.recipe import load_recipe
from rspipe.schema import ORIENTATIONS
from tests.curation import digests


def parts(curation, stage):
    return len(list(curation.stages.glob(f"{stage}-*/part-*.parquet")))


MOMENTS = {
    "before any table": lambda c: c.stages.parent.exists(),
    "in ingest": lambda c: parts(c, "ingest") >= 2,
    "in exclude": lambda c: parts(c, "exclude") >= 1,
    "in slice": lambda c: parts(c, "slice") >= 2,
    "late in slice": lambda c: parts(c, "slice") >= 6,
    "after dedup": lambda c: parts(c, "dedup") >= 1,
    "after leakage": lambda c: any(c.stages.glob("leakage-*/hits.parquet")),
    "in pack": lambda c: any(c.stages.glob("pack-*/data")),
    "while pictures are drawn": lambda c: any(c.stages.glob("pack-*/data/train-*.parquet")),
    "while the ledger is written": lambda c: any(c.stages.glob("pack-*/ledger")),
}


def test_one_worker_and_other_partitions_give_the_same_bytes(small, tmp_path):
    alone = replace(small, folder=tmp_path / "c", workers=1, files_per_partition=37)
    alone.run()
    assert digests(alone) == digests(small)
    assert len(digests(small)) >= 3


def test_a_run_killed_at_each_stage_ends_with_the_same_bytes(small, tmp_path):
    """One run, killed with its whole process group again and again, each time a stage further."""
    killed = replace(small, folder=tmp_path / "c")
    for ready in MOMENTS.values():
        killed.kill_when(ready)
        assert not (killed.corpus / "manifest.json").exists()
    killed.run()
    assert digests(killed) == digests(small)
    assert not list(killed.corpus.rglob(".*partial"))


def test_a_second_run_finds_its_work_done(small):
    before = (small.corpus / "manifest.json").stat().st_mtime_ns
    assert "done before" in small.run()
    assert (small.corpus / "manifest.json").stat().st_mtime_ns == before


def test_a_changed_recipe_reuses_what_it_does_not_change(small, tmp_path):
    changed = replace(small, folder=tmp_path / "c")
    changed.run()
    before = {path.name for path in changed.stages.iterdir()}
    curate(
        load_recipe(changed.folder / "curate.yaml", CurateRecipe, ["what.dedup.max_hamming_bits=0"])
    )
    new = {path.name.split("-")[0] for path in changed.stages.iterdir() if path.name not in before}
    assert new == {"dedup", "leakage", "plan"}


def test_the_corpus_is_what_its_manifest_says(small):
    assert verify(small.corpus) == len(Corpus.open(small.corpus)) > 500


def test_no_file_is_missing_from_the_ledger(small, small_native):
    ledger = Corpus.open(small.corpus).ledger(["level", "dataset", "source_path"]).to_pylist()
    listed = Counter(
        (row["dataset"], row["source_path"]) for row in ledger if row["level"] == "file"
    )
    on_disk = {
        ("(loose)", path.name)
        if path.parent == small_native
        else (path.relative_to(small_native).parts[0], path.relative_to(small_native).as_posix())
        for path in small_native.rglob("*")
        if path.is_file()
    }
    expected = {
        (name, path if name == "(loose)" else path.partition("/")[2]) for name, path in on_disk
    }
    assert set(listed) == expected
    assert set(listed.values()) == {1}


def test_the_funnel_adds_up_and_agrees_with_the_ledger_and_the_corpus(small):
    corpus = Corpus.open(small.corpus)
    funnel = {step["stage"]: step for step in corpus.manifest["funnel"]}
    for step in funnel.values():
        assert step["rows_in"] == step["kept"] + sum(step["dropped"].values())
    rows = corpus.ledger(["level", "drop_stage", "drop_reason"]).to_pylist()
    files = [row for row in rows if row["level"] == "file"]
    tiles = [row for row in rows if row["level"] == "tile" and row["drop_stage"] != "exclude"]
    assert funnel["ingest"]["rows_in"] == len(files)
    assert funnel["exclude"]["rows_in"] == funnel["ingest"]["kept"]
    assert funnel["slice"]["images_in"] == funnel["exclude"]["kept"]
    assert funnel["slice"]["rows_in"] == len(tiles)
    assert funnel["screen"]["rows_in"] == funnel["slice"]["kept"]
    assert funnel["dedup"]["rows_in"] == funnel["screen"]["kept"]
    assert funnel["leakage"]["rows_in"] == funnel["dedup"]["kept"]
    assert funnel["pack"]["kept"] == funnel["leakage"]["kept"] == len(corpus)
    for stage, step in funnel.items():
        level = files if step["unit"] == "files" else tiles
        counted = Counter(row["drop_reason"] for row in level if row["drop_stage"] == stage)
        assert counted == Counter(step["dropped"])


def test_every_planted_fault_is_in_the_ledger_with_its_reason(small, small_native):
    rows = Corpus.open(small.corpus).ledger().to_pylist()
    by_path = {}
    for row in rows:
        by_path.setdefault((row["dataset"], row["source_path"]), []).append(row)
    planted = json.loads((small_native / "planted.json").read_text())
    assert len(planted) >= 20
    for fault in planted:
        found = by_path[fault["dataset"], fault["source_path"]]
        fates = [(row["drop_stage"], row["drop_reason"]) for row in found]
        assert (fault["stage"], fault["reason"]) in fates, fault
        assert all(row["drop_detail"] for row in found if row["drop_stage"])
        if fault["stage"] == "dedup":
            original = next(row["duplicate_of"] for row in found if row["duplicate_of"])
            kept = next(row for row in rows if row["tile_id"] == original)
            assert f"{kept['dataset']}/{kept['source_path']}" == fault["original"]
        if fault["stage"] == "leakage":
            assert found[-1]["benchmark_hit"] == fault["original"]


def test_an_independent_search_finds_no_benchmark_picture_in_the_corpus(small, small_native):
    """Every corpus tile against every held-out image in 8 orientations, by imagehash, all pairs."""
    corpus = Corpus.open(small.corpus)
    ours = [Image.fromarray(p).convert("L") for p in corpus.images(range(len(corpus)))]
    held_out = sorted((small_native / "demo_coasts/test").rglob("*.jpg"))
    held_out += sorted((small_native / "demo_landcover").glob("*/images/*"))
    assert len(held_out) > 900
    our_hashes = np.array([int(str(imagehash.phash(tile)), 16) for tile in ours], dtype=np.uint64)
    sharp = np.array([np.asarray(tile.resize((32, 32))).std() > 4 for tile in ours])
    for path in held_out:
        picture = np.asarray(Image.open(path).convert("L"))
        for orientation in ORIENTATIONS:
            turned = Image.fromarray(np.ascontiguousarray(orient(picture, orientation)))
            theirs = np.uint64(int(str(imagehash.phash(turned)), 16))
            near = (np.bitwise_count(our_hashes ^ theirs) <= 4) & sharp
            for index in np.flatnonzero(near):
                a, b = (np.asarray(t.resize((32, 32)), float) for t in (ours[index], turned))
                assert np.corrcoef(a.ravel(), b.ravel())[0, 1] < 0.93, path


def test_a_duplicate_names_a_survivor(small):
    rows = Corpus.open(small.corpus).ledger(["tile_id", "drop_stage", "duplicate_of"]).to_pylist()
    fate = {row["tile_id"]: row["drop_stage"] for row in rows if row["tile_id"]}
    dropped = [row for row in rows if row["drop_stage"] == "dedup"]
    assert dropped
    # A survivor of dedup may still leave as a benchmark leak, never as another duplicate.
    assert {fate[row["duplicate_of"]] for row in dropped} <= {None, "leakage"}


def test_an_image_that_was_not_cut_keeps_its_bytes(small, small_native):
    corpus = Corpus.open(small.corpus)
    table = corpus.table(["dataset", "source_path", "original_bytes", "sha256", "source_sha256"])
    whole = [(i, row) for i, row in enumerate(table.to_pylist()) if row["original_bytes"]]
    assert len(whole) > 400
    for index, row in whole[::25]:
        data = (small_native / row["dataset"] / row["source_path"]).read_bytes()
        assert corpus.image_bytes([index])[0] == data
        assert row["sha256"] == row["source_sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_datasets_load_the_corpus_and_decode_its_images(small, tmp_path):
    import datasets

    files = [str(path) for path in sorted((small.corpus / "data").glob("*.parquet"))]
    loaded = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path)
    )
    corpus = Corpus.open(small.corpus)
    assert len(loaded) == len(corpus)
    assert isinstance(loaded.features["image"], datasets.Image)
    for row in range(0, len(corpus), 101):
        picture = loaded[row]["image"]
        assert picture.size == (loaded[row]["width"], loaded[row]["height"])
        assert np.array_equal(corpus.images([row])[0], np.asarray(picture.convert("RGB")))


def test_plain_pyarrow_reads_the_corpus(small):
    import pyarrow.dataset as ds

    table = ds.dataset(small.corpus / "data").to_table(columns=["tile_id", "phash", "licence"])
    assert (
        table.num_rows == len(set(table["tile_id"].to_pylist())) == len(Corpus.open(small.corpus))
    )
