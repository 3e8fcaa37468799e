# SPDX-License-Identifier: Apache-2.0
"""A small corpus whose names were written by someone who wishes us ill."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa

from rspipe.io.images import encode_png
from rspipe.io.tables import write_json, write_table
from rspipe.schema import CORPUS_SCHEMA, HIT_SCHEMA, LEDGER_SCHEMA, SCHEMA_VERSION
from tests.report.conftest import row_of

HOSTILE = "<img src=x onerror=window.owned=1>\"'</script><script>window.owned=1</script>&amp;.jpg"
SEA, FIELDS, BENCH = "sea", "fields", "bench"
TILE_PX = 32
LIMITS = {
    "screen": {"max_flatness": 0.95, "max_nodata_fraction": 0.25},
    "dedup": {"max_hamming_bits": 4, "min_similarity": 0.985, "min_lineage_iou": 0.5},
    "leakage": {"min_similarity": 0.95},
}


def key_of(name):
    return blake2b(name.encode(), digest_size=16).hexdigest()


def pixels_of(name):
    """A smooth picture that no turn or mirror leaves as it is."""
    draw = np.random.default_rng(int(key_of(name)[:8], 16))
    y, x = np.mgrid[:TILE_PX, :TILE_PX] / TILE_PX
    bands = [draw.uniform(0, 160) + 60 * x + 35 * y * draw.uniform(0.5, 1) for _ in range(3)]
    pixels = np.stack(bands, axis=-1)
    pixels[4:12, 4:20] += 50 * (draw.random() - 0.5)
    return pixels.clip(0, 255).astype(np.uint8)


def tile(name, dataset, path, **more):
    window = {"y0": 0, "x0": 0, "h": TILE_PX, "w": TILE_PX, "scale": 1.0}
    size = {"height": TILE_PX, "width": TILE_PX, "bands": 3, "dtype": "uint8", "format": "PNG"}
    measured = {"flatness": 0.3, "nodata_fraction": 0.0, "mean_grey": 90.0, "sharpness": 50.0}
    return {
        **window,
        **size,
        **measured,
        "level": "tile",
        "tile_id": key_of(name),
        "image_id": key_of(path),
        "dataset": dataset,
        "source_path": path,
        "original_bytes": True,
        "licence": "CC-BY-4.0" if dataset == FIELDS else None,
        **more,
    }


def kept_rows():
    """Thirty labelled pictures, and six windows of one scene."""
    fields = [
        tile(f"f{i}", FIELDS, f"crops/{i:02}.png", gsd_m=0.5 if i % 2 else 4.0, label="wheat")
        for i in range(30)
    ]
    fields[0] |= {
        "source_path": HOSTILE,
        "label": HOSTILE,
        "attribution": HOSTILE,
        "caption": HOSTILE,
        "licence_url": "javascript:window.owned=1",
    }
    flat = {"label": "barn", "x0": 8.0, "y0": 16.0, "x1": 24.0, "y1": 32.0}
    oriented = flat | {"label": "silo", "corners": [16.0, 0.0, 32.0, 16.0, 16.0, 32.0, 0.0, 16.0]}
    fields[2] |= {"boxes": [flat, oriented]}
    scene = {"original_bytes": False, "image_id": key_of("scene.tif")}
    windows = [
        tile(f"s{i}", SEA, "scene.tif", **scene, y0=32 * (i // 3), x0=32 * (i % 3))
        for i in range(6)
    ]
    return fields + windows


def dropped_rows():
    scene = {"original_bytes": False, "image_id": key_of("scene.tif"), "y0": 64}
    blank = {"drop_stage": "screen", "drop_reason": "blank", "drop_detail": "flatness 1 > 0.95"}
    blanks = [
        tile(f"b{i}", SEA, "scene.tif", **{**scene, **blank, "x0": 32 * i, "flatness": 1.0})
        for i in range(3)
    ]
    parent = tile("parent", SEA, "scene.tif", **{**scene, "y0": 0, "h": 96, "w": 96})
    copy = tile(
        *("copy", FIELDS, "crops/turned.png"),
        drop_stage="dedup",
        drop_reason="near_duplicate",
        drop_detail="of fields/crops/01.png (2 bits, r=0.998)",
        duplicate_of=key_of("f1"),
        distance_bits=2,
        orientation="rot90",
        verified_similarity=0.998,
        cluster_id=key_of("f1"),
        cluster_size=2,
        cluster_diameter_bits=2,
    )
    leak = tile(
        *("leak", FIELDS, "crops/leak.png"),
        drop_stage="leakage",
        drop_reason="benchmark_leak",
        drop_detail="near match of bench/test/0.png (1 bits)",
        benchmark_hit="bench/test/0.png",
    )
    held = {"drop_stage": "exclude", "drop_reason": "benchmark_split", "split": "test"}
    held_out = [tile(f"h{i}", BENCH, f"test/{i}.png", **held) for i in range(4)]
    file = {"level": "file", "dataset": FIELDS, "image_id": key_of("broken")}
    broken = {"drop_stage": "ingest", "drop_reason": "unreadable", "drop_detail": "empty file"}
    files = [
        {**file, **broken, "source_path": f"broken/{HOSTILE}"},
        {**file, "source_path": "crops/01.png", "image_id": key_of("crops/01.png")},
        {**file, **held, "dataset": BENCH, "image_id": key_of("h"), "source_path": "test/0.png"},
    ]
    return [*blanks, {**parent, "level": "parent"}, copy, leak, *held_out, *files]


FUNNEL = [
    {
        "stage": "ingest",
        "unit": "files",
        "rows_in": 38,
        "kept": 37,
        "dropped": {"unreadable": 1},
    },
    {
        "stage": "exclude",
        "unit": "files",
        "rows_in": 37,
        "kept": 33,
        "dropped": {"benchmark_split": 4},
    },
    {"stage": "screen", "unit": "tiles", "rows_in": 41, "kept": 38, "dropped": {"blank": 3}},
    {
        "stage": "dedup",
        "unit": "tiles",
        "rows_in": 38,
        "kept": 37,
        "dropped": {"near_duplicate": 1},
    },
    {
        "stage": "leakage",
        "unit": "tiles",
        "rows_in": 37,
        "kept": 36,
        "dropped": {"benchmark_leak": 1},
    },
    {"stage": "pack", "unit": "tiles", "rows_in": 36, "kept": 36, "dropped": {}},
]


def write_world(folder):
    kept = kept_rows()
    names = {key_of(n): n for n in [f"f{i}" for i in range(30)] + [f"s{i}" for i in range(6)]}
    corpus = [
        row | {"image": {"bytes": encode_png(pixels_of(names[row["tile_id"]])), "path": "x.png"}}
        for row in kept
    ]
    write(corpus, CORPUS_SCHEMA, folder / "data/train-00000-of-00001.parquet")
    write(kept + dropped_rows(), LEDGER_SCHEMA, folder / "ledger/ledger-00000-of-00001.parquet")
    hit = {
        "tile_id": key_of("leak"),
        "matched_tile_id": key_of("leak"),
        "dataset": FIELDS,
        "source_path": "crops/leak.png",
        "benchmark": BENCH,
        "benchmark_split": "test",
        "benchmark_path": "test/0.png",
        "benchmark_tile_id": key_of("h0"),
        "kind": "near",
        "distance_bits": 1,
        "orientation": "flip_lr",
        "similarity": 0.991,
    }
    write([hit], HIT_SCHEMA, folder / "ledger/benchmark_hits.parquet")
    small = {
        "copy": np.rot90(pixels_of("f1")),
        "leak": np.fliplr(pixels_of("h0")),
        "h0": pixels_of("h0"),
    }
    pictures = [
        {"tile_id": key_of(n), "picture": {"bytes": encode_png(p.copy()), "path": n}}
        for n, p in small.items()
    ]
    write_table(pa.Table.from_pylist(pictures), folder / "pictures.parquet")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": "hostile",
        "fingerprint": "c0ffee00c0ffee00",
        "code_commit": "0123456789abcdef",
        "rspipe_version": "0",
        "funnel": FUNNEL,
        "recipe": {"what": LIMITS},
    }
    write_json(manifest, folder / "manifest.json")
    return folder


def write(rows, schema, path):
    write_table(pa.Table.from_pylist([row_of(schema, **row) for row in rows], schema), path)
