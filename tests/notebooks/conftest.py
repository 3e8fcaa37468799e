# SPDX-License-Identifier: Apache-2.0
"""What the notebooks read: a small corpus (`small`), scores of a tiny encoder, a comparison."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from rspipe.compare.config import CompareRecipe
from rspipe.compare.table import Candidate, Row, Score, Table, write_table
from rspipe.corpus.pairs import FILES, PAIRS, PAIRS_SCHEMA
from rspipe.evaluate.config import EvalRecipe
from rspipe.evaluate.runner import evaluate
from rspipe.io.tables import write_table as write_parquet
from rspipe.models.encoder import Encoder
from rspipe.recipe import validate
from tests.evaluate.conftest import TINY


@pytest.fixture(scope="session")
def results(demo_native, tmp_path_factory) -> Path:
    """A tiny encoder on a twelfth of the demo's coasts, three of whose test images it has seen."""
    root = tmp_path_factory.mktemp("scored")
    coasts = root / "data/demo_coasts"
    for path in _twelfth(demo_native / "demo_coasts"):
        there = coasts / path.relative_to(demo_native / "demo_coasts")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)
    Encoder.random(TINY, seed=1).eval().save(root / "run")
    _write_audit(root / "audit", coasts)
    what = {
        "protocols": {"classification": ["knn", "few_shot", "majority"]},
        "baselines": ["random", "image_statistics"],
        "bootstrap": {"resamples": 20},
        "logistic": {"c_grid": [1.0]},
        "few_shot": {"shots": [1, 4], "draws": 2},
    }
    said = {"name": "t", "encoder": root / "run", "data": root / "data", "out": root / "results"}
    plain = said | {"contamination": [root / "audit"], "what": what}
    evaluate(validate(plain | {"how": {"device": "cpu", "threads": 1}}, EvalRecipe, "test"))
    return root / "results"


def _twelfth(folder):
    pictures = [sorted((folder / split).rglob("*.*"))[::12] for split in ("train", "test")]
    return [folder / "dataset.yaml", *pictures[0], *pictures[1]]


def _write_audit(folder, benchmark):
    """Leave what `rspipe audit` leaves of a corpus that holds three of the test images."""
    paths = [f"coasts/{p.relative_to(benchmark)}" for p in sorted(benchmark.rglob("test/*/*.*"))]
    write_parquet(pa.table({"path": paths, "drop_reason": [None] * len(paths)}), folder / FILES)
    seen = {
        "path_a": "corpus/a.jpg",
        "kind": "bytes",
        "distance_bits": 0,
        "orientation": "identity",
        "similarity": 1.0,
        "verdict": "duplicate",
    }
    pairs = [seen | {"path_b": path} for path in paths[:3]]
    write_parquet(pa.Table.from_pylist(pairs, PAIRS_SCHEMA), folder / PAIRS)


@pytest.fixture(scope="session")
def comparison(tmp_path_factory) -> Path:
    """Two variants with two seeds, one variant that diverged, and a floor."""
    folder = tmp_path_factory.mktemp("compared")
    recipe = {
        "name": "t",
        "base": "base.yaml",
        "variants": {name: {"what": {}} for name in ("mae", "simmim", "diverged")},
        "budget": {"macs": 1e9},
        "seeds": [0, 1],
        "judge": {"data": "data", "benchmark": "coasts"},
    }
    rows = [
        Row(
            variant=name,
            seed=seed,
            scores={} if name == "diverged" else {"knn": _score(0.5 + 0.1 * seed)},
            images=1000 * (1 + len(name)),
            training_macs=10**9,
            seconds=9.0,
            curve=[(1e8, 1.0, 2.0), (1e9, 9.0, 1.0 + 0.1 * seed)],
        )
        for name in recipe["variants"]
        for seed in (0, 1)
    ]
    floors = [Row(variant="random", seed=0, scores={"knn": _score(0.3)})]
    candidates = [Candidate("mae", 1e-3, 0.5, is_chosen=True)]
    table = Table(validate(recipe, CompareRecipe, "test"), rows, candidates, floors)
    write_table(table, folder)
    return folder


def _score(value):
    return Score(value, value - 0.1, value + 0.1, 20)
