# SPDX-License-Identifier: Apache-2.0
"""A tiny corpus, run and results folder, written as the other verbs write them."""

import json

import numpy as np
import pyarrow as pa
import pytest
import yaml

from rspipe.io.images import encode_png
from rspipe.io.tables import write_json, write_table
from rspipe.report.config import ReportRecipe
from rspipe.schema import CORPUS_SCHEMA, HIT_SCHEMA, LEDGER_SCHEMA, SCHEMA_VERSION

HOSTILE = "<script>alert('x')</script>&\".jpg"
FUNNEL = [
    {
        "stage": "ingest",
        "unit": "files",
        "rows_in": 4321,
        "kept": 4300,
        "dropped": {"unreadable": 21},
    },
    {
        "stage": "exclude",
        "unit": "files",
        "rows_in": 4300,
        "kept": 4200,
        "dropped": {"too_small": 100},
    },
    {
        "stage": "slice",
        "unit": "tiles",
        "rows_in": 6789,
        "kept": 6700,
        "dropped": {"blank": 89},
        "images_in": 4200,
        "benchmark_tiles_held_out": 55,
    },
    {
        "stage": "dedup",
        "unit": "tiles",
        "rows_in": 6700,
        "kept": 6660,
        "dropped": {"near_duplicate": 40},
    },
    {
        "stage": "leakage",
        "unit": "tiles",
        "rows_in": 6660,
        "kept": 6653,
        "dropped": {"benchmark_leak": 7},
    },
    {"stage": "pack", "unit": "tiles", "rows_in": 6653, "kept": 6653, "dropped": {}},
]


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return encode_png(pixels)


def row_of(schema, **values):
    return {name: values.get(name) for name in schema.names}


def ledger_rows():
    tile = {
        "level": "tile",
        "dataset": "fake",
        "y0": 0,
        "x0": 0,
        "h": 16,
        "w": 16,
        "original_bytes": True,
    }
    near = {"drop_stage": "dedup", "drop_reason": "near_duplicate", "duplicate_of": "tile0"}
    leak = {"drop_stage": "leakage", "drop_reason": "benchmark_leak", "drop_detail": "near match"}
    rows = [
        {**tile, "tile_id": "tile0", "source_path": "kept.jpg"},
        {
            **tile,
            **near,
            "tile_id": "copy0",
            "source_path": HOSTILE,
            "distance_bits": 2,
            "orientation": "rot90",
            "verified_similarity": 0.987,
        },
        {**tile, **leak, "tile_id": "leak0", "source_path": "leak.jpg", "orientation": "identity"},
        {
            **tile,
            "tile_id": "bench0",
            "dataset": "bench",
            "source_path": "test/b.jpg",
            "drop_stage": "exclude",
            "drop_reason": "benchmark_split",
        },
        {
            **tile,
            "tile_id": "blank0",
            "source_path": "sea.tif",
            "flatness": 0.99,
            "drop_stage": "slice",
            "drop_reason": "blank",
            "drop_detail": "flatness 0.9900 > 0.98",
        },
        {
            "level": "file",
            "dataset": "fake",
            "source_path": "broken.png",
            "drop_stage": "ingest",
            "drop_reason": "unreadable",
            "drop_detail": "the file is empty (0 bytes)",
        },
        {
            "level": "file",
            "dataset": "fake",
            "source_path": "tiny.png",
            "drop_stage": "exclude",
            "drop_reason": "too_small",
            "drop_detail": "3 px < 32 px",
        },
    ]
    return [row_of(LEDGER_SCHEMA, **row) for row in rows]


def write_corpus(folder, with_pictures=True):
    rows = [
        row_of(
            CORPUS_SCHEMA,
            tile_id=f"tile{i}",
            image={"bytes": picture(i), "path": f"tile{i}.png"},
            height=16,
            width=16,
            dataset="fake",
            source_path=f"a/{i}.jpg",
            licence="CC0-1.0",
            attribution="<b>nobody</b>",
            sharpness=10.0 + i,
            gsd_m=0.5 if i else None,
            xmin=10.0 + i,
            ymin=-3.0,
            xmax=10.5 + i,
            ymax=-2.5,
        )
        for i in range(5)
    ]
    write_table(
        pa.Table.from_pylist(rows, CORPUS_SCHEMA), folder / "data/train-00000-of-00001.parquet"
    )
    ledger = pa.Table.from_pylist(ledger_rows(), LEDGER_SCHEMA)
    write_table(ledger, folder / "ledger/ledger-00000-of-00001.parquet")
    hit = {
        "tile_id": "leak0",
        "dataset": "fake",
        "source_path": "leak.jpg",
        "benchmark": "bench",
        "benchmark_split": "test",
        "benchmark_path": "test/b.jpg",
        "benchmark_tile_id": "bench0",
        "kind": "near",
        "distance_bits": 4,
        "orientation": "flip_lr",
        "similarity": 0.912,
    }
    write_table(pa.Table.from_pylist([hit], HIT_SCHEMA), folder / "ledger/benchmark_hits.parquet")
    if with_pictures:
        kept = [
            {"tile_id": t, "picture": {"bytes": picture(9), "path": t}} for t in ("copy0", "leak0")
        ]
        write_table(pa.Table.from_pylist(kept), folder / "pictures.parquet")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": "fake",
        "fingerprint": "c0ffee00c0ffee00",
        "code_commit": "0123456789abcdef",
        "rspipe_version": "0",
        "funnel": FUNNEL,
        "recipe": {"what": {"dedup": {"max_hamming_bits": 4, "min_similarity": 0.9}}},
    }
    write_json(manifest, folder / "manifest.json")
    return folder


def write_run(folder, name="fake_mae", corpus_fingerprint="c0ffee00c0ffee00", is_complete=True):
    (folder / "pictures").mkdir(parents=True)
    note = {
        "fingerprint": "f" * 16,
        "corpus_fingerprint": corpus_fingerprint,
        "name": name,
        "what": {"objective": {"name": "mae"}, "steps": 30, "encoder": {"width": 64, "depth": 2}},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(note))
    steps = range(10, 31, 10)
    lines = [
        {"step": s, "loss": 1 / s, "lr": 1e-4, "images_per_s": 99.0, "elapsed_s": s} for s in steps
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (10, 20, 30):
        (folder / f"pictures/step-{step:06d}.png").write_bytes(picture(step))
    if is_complete:
        made = {"complete": True, "encoder_sha256": "e" * 64, "steps": 30, "images_seen": 960}
        write_json(made, folder / "manifest.json")
    return folder


def score(encoder, value, **more):
    return {
        "benchmark": "coasts",
        "task": "classification",
        "status": "done",
        "reason": None,
        "protocol": "knn",
        "encoder": encoder,
        "encoder_sha256": ("e" if encoder == "pretrained" else "0") * 64,
        "metric": "OA",
        "convention": "overall accuracy",
        "value": value,
        "ci_low": value - 0.05,
        "ci_high": value + 0.05,
        "n_train": 30,
        "n_test": 20,
        "cell": f"cell-{encoder}",
        "per_class": {"lake": value, "bay": None},
        "extra": {
            "classes": ["lake", "bay"],
            "macro_f1": {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6},
        },
        **more,
    }


def write_results(folder, rows=None):
    rows = rows or [score("pretrained", 0.875), score("random", 0.625)]
    skipped = dict.fromkeys(rows[0]) | {
        "benchmark": "odd",
        "task": "detection",
        "status": "skipped",
        "reason": "no boxes",
    }
    write_json([*rows, skipped], folder / "results.json")
    (folder / "cells").mkdir(exist_ok=True)
    np.savez_compressed(folder / "cells/cell-pretrained.npz", confusion=np.array([[8, 2], [1, 9]]))
    examples = [{"path": HOSTILE, "truth": "lake", "predicted": "bay"}]
    write_json({"row": {}, "examples": examples}, folder / "cells/cell-pretrained.json")
    return folder


@pytest.fixture
def folders(tmp_path):
    write_corpus(tmp_path / "corpus")
    write_run(tmp_path / "run")
    write_results(tmp_path / "results")
    return ReportRecipe(
        name="fake",
        corpus=tmp_path / "corpus",
        run=tmp_path / "run",
        results=(tmp_path / "results",),
    )
