# SPDX-License-Identifier: Apache-2.0
"""A planted contamination is found exactly, and taken out of the score exactly."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from rspipe.curate.audit.search import SearchSettings, audit
from rspipe.curate.config import CurateHow, DedupConfig
from rspipe.errors import RecipeError
from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.contamination import Contamination, corpus_of_run
from rspipe.evaluate.runner import evaluate
from tests.evaluate.native_sets import write_scenes

TURNS = [None, Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT]


@pytest.fixture(scope="module")
def world(demo_native, tmp_path_factory):
    """A benchmark of real coasts, and a "corpus" that holds a few of its test images."""
    root = tmp_path_factory.mktemp("planted")
    benchmark = root / "data/demo_coasts"
    benchmark.mkdir(parents=True)
    shutil.copy(demo_native / "demo_coasts/dataset.yaml", benchmark)
    for split in ("train", "test"):
        for path in sorted((demo_native / "demo_coasts" / split).rglob("*.*"))[::12]:
            there = benchmark / path.relative_to(demo_native / "demo_coasts")
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there)
    corpus = root / "corpus"
    corpus.mkdir()
    tests = sorted((benchmark / "test").rglob("*.*"))
    trains = sorted((benchmark / "train").rglob("*.*"))
    planted = tests[:: max(1, len(tests) // 9)]
    for number, path in enumerate(planted):
        turn = TURNS[number % 3]
        with Image.open(path) as image:
            made = image.convert("RGB")
            if turn is None:
                (corpus / f"copy_{number}{path.suffix}").write_bytes(path.read_bytes())
            else:
                made.transpose(turn).save(corpus / f"copy_{number}.png")
    for number, path in enumerate(trains[:20]):
        (corpus / f"own_{number}{path.suffix}").write_bytes(path.read_bytes())
    settings = SearchSettings(
        root / "audit", None, DedupConfig(min_similarity=0.95), CurateHow(workers=1)
    )
    audit([str(corpus)], [str(root / "data/demo_coasts")], settings)
    names = {str(path.relative_to(benchmark)) for path in planted}
    return root, names


def rows_of(out):
    return [
        EvalResult.model_validate(row) for row in json.loads((out / "results.json").read_text())
    ]


def run(recipe, root, **said):
    what = {"protocols": {"classification": ["knn"]}, "baselines": ["random"]}
    return rows_of(evaluate(recipe(root / "data", what=what, **said)))


def test_planted_test_images_are_found_exactly_and_taken_out(world, recipe):
    root, planted = world
    rows = run(recipe, root, contamination=[str(root / "audit")])
    assert {row.encoder for row in rows} == {"pretrained", "random"}
    for row in rows:
        found = row.extra["contamination"]["leaked"]
        assert set(found) == planted
        assert (row.n_audited, row.n_leaked) == (row.n_test, len(planted))
        assert {"bytes", "near"} <= {*found.values(), "near"}


def test_adjusted_score_is_that_of_the_clean_subset_alone(world, recipe, tmp_path):
    root, planted = world
    rows = run(recipe, root, contamination=[str(root / "audit")])
    assert len(rows) == 2
    for row in rows:
        with np.load(tmp_path / "results" / "cells" / f"{row.cell}.npz") as cell:
            clean = ~np.isin(cell["paths"], sorted(planted))
            right = (cell["predicted"][0] == cell["truth"])[clean]
        assert len(right) == row.n_test - len(planted)
        assert row.clean_value == pytest.approx(right.mean(), abs=1e-12)
        assert row.clean_value != row.value
        assert row.clean_ci_low <= row.clean_value <= row.clean_ci_high


def test_a_benchmark_that_no_source_looked_at_is_unknown_not_clean(world, recipe, tmp_path):
    root, _ = world
    write_scenes(tmp_path / "native/hues")
    what = {"protocols": {"classification": ["knn"]}}
    recipe_ = recipe(tmp_path / "native", what=what, contamination=[str(root / "audit")])
    for row in rows_of(evaluate(recipe_)):
        assert row.n_audited is row.n_leaked is row.clean_value is None
        assert "contamination" not in row.extra


def test_another_audit_fills_the_cell_again(world, recipe):
    root, _ = world
    plain = {row.cell for row in run(recipe, root, contamination="none")}
    audited = {row.cell for row in run(recipe, root, contamination=[str(root / "audit")])}
    assert not plain & audited


def test_curated_corpus_holds_no_test_image_and_says_how_many_it_dropped(small):
    native = Path(small.data)
    said = yaml.safe_load((native / "demo_coasts/dataset.yaml").read_text())
    tests = [
        str(path.relative_to(native / "demo_coasts"))
        for path in sorted((native / "demo_coasts/test").rglob("*"))
        if path.is_file()
    ]
    exposure = Contamination([str(small.corpus)]).of(said["name"], tests)
    assert exposure.audited == frozenset(tests)
    assert exposure.leaked == {}
    assert exposure.removed > 0


def test_folder_that_is_neither_audit_nor_corpus_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="neither an audit nor a corpus"):
        Contamination([str(tmp_path)])


def test_corpus_of_a_run_counts_only_while_it_is_the_same(small, tmp_path):
    fingerprint = json.loads((small.corpus / "manifest.json").read_text())["fingerprint"]
    note = {"recipe": {"corpus": str(small.corpus)}, "corpus_fingerprint": fingerprint}
    (tmp_path / "manifest.json").write_text(json.dumps(note))
    assert corpus_of_run(tmp_path) == str(small.corpus)
    (tmp_path / "manifest.json").write_text(json.dumps(note | {"corpus_fingerprint": "other"}))
    assert corpus_of_run(tmp_path) is None
