# SPDX-License-Identifier: Apache-2.0
"""The stage on tables in parts: its laws, and that parts, order and scratch change nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.hashing import orient
from rspipe.curate.dedup.stage import dedup
from rspipe.schema import FATE_SCHEMA
from tests.curate.dedup.tile_tables import tile, write_parts


def jpeg(grey, quality):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.fixture(scope="module")
def greys(demo_native):
    paths = sorted((demo_native / "demo_chips").glob("gallery/earth_*.jpg"))[::8]
    greys = [np.asarray(Image.open(path).convert("L")) for path in paths]
    return [g for g in greys if g.std() > 20][:20]


@pytest.fixture(scope="module")
def rows(greys):
    """Every reason, every bystander."""
    scene = np.asarray(Image.fromarray(greys[5]).resize((160, 160)))
    smaller = np.asarray(Image.fromarray(scene).resize((140, 140)))
    return [
        *(tile(f"{i}.png", g) for i, g in enumerate(greys[:4])),
        tile("again.png", greys[0], image="set/0.png/0,0,False"),
        tile("repacked.png", greys[0]),
        tile("labelled.jpg", jpeg(orient(greys[1], "rot90"), 80), label="field"),
        tile("bench.png", greys[2], dataset="bench", held_out=True),
        tile("blank.png", greys[3], drop_stage="screen", drop_reason="blank", drop_detail="1 > 0"),
        tile("broken.png", greys[3], pixel_hash=None, drop_stage="slice", drop_reason="unreadable"),
        tile("scene.tif", scene[:90, :90], window=(0, 0)),
        tile("scene.tif", scene[:90, 20:110], window=(0, 20)),
        tile("scene.tif", scene[:90, 70:], window=(0, 70)),
        tile("scene.tif", scene, window=(0, 0), is_parent=True),
        tile("smaller.tif", smaller[:90, :90], window=(0, 0)),
        tile("smaller.tif", smaller, window=(0, 0), is_parent=True),
    ]


def fates(folder, rows, sizes=(), **config):
    parts = write_parts(folder, rows, list(sizes))
    found = dedup(parts, DedupConfig(**config), folder / "scratch")
    assert found.schema == FATE_SCHEMA
    assert found["tile_id"].to_pylist() == [row["tile_id"] for row in rows]
    assert not list((folder / "scratch").glob("*")) or not (folder / "scratch").exists()
    return found


def by_name(rows, found):
    names = {r["tile_id"]: f"{r['source_path']}:{r['x0']}:{r['is_parent']:d}" for r in rows}
    return {
        names[f["tile_id"]]: (f["drop_reason"], names.get(f["duplicate_of"]))
        for f in found.to_pylist()
        if f["drop_stage"] == "dedup"
    }


def test_every_reason_is_given_and_names_its_survivor(rows, tmp_path):
    found = fates(tmp_path, rows)
    assert by_name(rows, found) == {
        "again.png:0:0": ("duplicate_bytes", "0.png:0:0"),
        "repacked.png:0:0": ("duplicate_pixels", "0.png:0:0"),
        "1.png:0:0": ("near_duplicate", "labelled.jpg:0:0"),
        "scene.tif:20:0": ("overlapping_crop", "scene.tif:0:0"),
        "smaller.tif:0:0": ("duplicate_image", "scene.tif:0:1"),
        "smaller.tif:0:1": ("duplicate_image", "scene.tif:0:1"),
    }
    details = {f["drop_reason"]: f for f in found.to_pylist() if f["drop_stage"] == "dedup"}
    assert details["duplicate_bytes"]["drop_detail"] == "of set/0.png (0 bits, r=1.000)"
    assert details["near_duplicate"]["drop_detail"].startswith("of set/labelled.jpg (")
    assert " bits, rot270, r=" in details["near_duplicate"]["drop_detail"]
    assert details["duplicate_image"]["drop_detail"].startswith("its image is set/scene.tif (near")
    crop = details["overlapping_crop"]
    assert crop["drop_detail"] == "overlaps a window of set/scene.tif (IoU 0.636)"
    assert crop["overlap_iou"] == pytest.approx(70 / 110)
    assert crop["verified_similarity"] is None


def test_what_was_dropped_before_or_is_held_out_keeps_its_fate(rows, tmp_path):
    for row, fate in zip(rows, fates(tmp_path, rows).to_pylist(), strict=True):
        if row["drop_stage"] is not None:
            for key in ("drop_stage", "drop_reason", "drop_detail"):
                assert fate[key] == row[key]
            assert fate["cluster_id"] is None


def test_clusters_hold_what_looks_alike(rows, tmp_path):
    found = fates(tmp_path, rows).to_pylist()
    clusters = {}
    for row, fate in zip(rows, found, strict=True):
        if fate["cluster_id"]:
            clusters.setdefault(fate["cluster_id"], []).append((row["source_path"], fate))
    assert sorted(sorted(name for name, _ in members) for members in clusters.values()) == [
        ["0.png", "again.png", "repacked.png"],
        ["1.png", "labelled.jpg"],
        ["scene.tif", "smaller.tif"],
    ]
    for name, members in clusters.items():
        assert name == min(fate["tile_id"] for _, fate in members)
        assert {fate["cluster_size"] for _, fate in members} == {len(members)}
        assert all(fate["cluster_diameter_bits"] <= 4 for _, fate in members)


@pytest.mark.parametrize("sizes", [(1,) * 15, (0, 7, 0), (3, 5)])
def test_fates_do_not_depend_on_the_parts(rows, tmp_path, sizes):
    assert fates(tmp_path / "a", rows, sizes).equals(fates(tmp_path / "b", rows))


def test_fates_do_not_depend_on_the_order_of_rows(rows, tmp_path):
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = fates(tmp_path / "a", [rows[i] for i in order], (4, 4))
    assert shuffled.sort_by("tile_id").equals(fates(tmp_path / "b", rows).sort_by("tile_id"))


def test_no_tile_at_all_has_no_fate(tmp_path):
    assert fates(tmp_path, []).num_rows == 0
    assert dedup([], DedupConfig(), tmp_path).num_rows == 0


def test_parts_without_the_lineage_column_hold_no_parents(rows, tmp_path):
    import pyarrow.parquet as pq

    own = [row for row in rows if not row["is_parent"]]
    (part,) = write_parts(tmp_path / "old", own, [])
    pq.write_table(pq.read_table(part).drop_columns(["is_parent"]), part)
    old = dedup([part], DedupConfig(), tmp_path)
    assert old.equals(fates(tmp_path / "new", own))


def test_every_part_is_told_of(rows, tmp_path):
    told = []
    parts = write_parts(tmp_path, rows, [5, 5])
    dedup(parts, DedupConfig(), tmp_path, lambda step, done, total: told.append((step, done)))
    assert [done for step, done in told if step == "read"] == [0, 1, 2]
    assert list(dict.fromkeys(step for step, _ in told)) == [
        *("read", "rank", "match", "search", "write")
    ]
    searched = [done for step, done in told if step == "search"]
    assert searched == sorted(searched)
    assert searched[-1] == 400
