# SPDX-License-Identifier: Apache-2.0
"""Every tile against every benchmark tile; no benchmark at all, and no tile at all."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from rspipe.corpus.reader import Corpus
from rspipe.corpus.verify import verify
from rspipe.curate.config import CurateRecipe, DedupConfig, LeakageConfig
from rspipe.curate.dedup.hashing import orient
from rspipe.curate.dedup.stage import dedup
from rspipe.curate.leakage import exclusion_list, find_leaks, mark_leaks
from rspipe.curate.runner import curate
from rspipe.errors import RunError
from rspipe.io.images import encode_png
from rspipe.schema import EXCLUSION_SCHEMA, FATE_SCHEMA, HIT_SCHEMA, TILE_SCHEMA
from tests.curate.dedup.tables import noisy_copy
from tests.curate.dedup.tile_tables import table, tile, write_parts


@pytest.fixture
def curated(tmp_path):
    def curated(**files):
        for name, data in files.items():
            (tmp_path / "data/set").mkdir(parents=True, exist_ok=True)
            (tmp_path / "data/set" / name).write_bytes(data)
        recipe = {"data": tmp_path / "data", "out": tmp_path / "c", "stages": tmp_path / "stages"}
        return Corpus.open(curate(CurateRecipe(name="t", **recipe)))

    return curated


def test_without_a_benchmark_nothing_leaks_and_the_card_says_that_none_was_given(curated):
    rng = np.random.default_rng(0)
    pictures = [encode_png(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for _ in range(3)]
    corpus = curated(**{f"{i}.png": data for i, data in enumerate(pictures)})
    assert verify(corpus.path) == 3
    assert "None was given" in (corpus.path / "README.md").read_text()


def test_without_a_tile_there_is_a_ledger_and_an_empty_corpus(curated, capsys):
    corpus = curated(**{"notes.txt": b"x", "broken.png": b"GIF8"})
    assert verify(corpus.path) == len(corpus) == 0
    assert corpus.ledger().num_rows == 2
    assert "no tile was kept" in capsys.readouterr().out


def test_an_empty_corpus_cannot_be_trained_on(curated):
    from rspipe.models.encoder import EncoderConfig
    from rspipe.objectives import MAE
    from rspipe.train.config import PretrainRecipe, PretrainWhat
    from rspipe.train.trainer import pretrain

    corpus = curated(**{"notes.txt": b"x"})
    what = PretrainWhat(encoder=EncoderConfig(), objective=MAE.Config(), images_per_step=1, steps=1)
    with pytest.raises(RunError, match="holds no tile"):
        pretrain(PretrainRecipe(name="t", corpus=str(corpus.path), what=what))


@pytest.fixture(scope="module")
def greys(demo_native):
    paths = sorted((demo_native / "demo_chips").glob("gallery/earth_*.jpg"))[::8]
    greys = [np.asarray(Image.open(path).convert("L")) for path in paths]
    return [g for g in greys if g.std() > 20][:12]


@pytest.fixture(scope="module")
def rows(greys):
    scene = np.asarray(Image.fromarray(greys[5]).resize((160, 160)))
    small = np.asarray(Image.fromarray(scene).resize((60, 60)))
    return [
        *(tile(f"{i}.png", g) for i, g in enumerate(greys[:4])),
        tile("copy.png", greys[0]),
        tile("scene.tif", scene[:90, :90], window=(0, 0)),
        tile("scene.tif", scene[:90, 70:], window=(0, 70)),
        tile("scene.tif", scene, window=(0, 0), is_parent=True),
        tile("b0.png", greys[0], dataset="bench", held_out=True),
        tile("b1.png", orient(greys[1], "flip_lr"), dataset="bench", held_out=True),
        tile("b0_again.png", greys[0], dataset="other", held_out=True, split="val"),
        tile("small.png", small, dataset="bench", held_out=True),
        tile("lost.png", greys[2], dataset="bench", held_out=True, pixel_hash=None),
    ]


def leaks(folder, rows, sizes=()):
    parts = write_parts(folder, rows, list(sizes))
    fates = dedup(parts, DedupConfig(), folder)
    hits = find_leaks(parts, fates, LeakageConfig().rules(DedupConfig()), folder)
    assert hits.schema == HIT_SCHEMA
    return fates, hits, mark_leaks(fates, hits)


def test_every_tile_is_held_against_every_benchmark_tile(rows, tmp_path):
    _, hits, marked = leaks(tmp_path, rows, (3, 3, 3))
    found = [
        (h["source_path"], h["benchmark_path"], h["kind"], h["orientation"])
        for h in hits.to_pylist()
    ]
    assert found == [
        ("0.png", "b0.png", "pixels", "identity"),
        ("0.png", "b0_again.png", "pixels", "identity"),
        ("1.png", "b1.png", "near", "flip_lr"),
        ("copy.png", "b0.png", "pixels", "identity"),
        ("copy.png", "b0_again.png", "pixels", "identity"),
        ("scene.tif", "small.png", "near", "identity"),
        ("scene.tif", "small.png", "near", "identity"),
    ]
    whole = next(row for row in rows if row["is_parent"])
    for hit in hits.to_pylist()[-2:]:
        assert hit["matched_tile_id"] == whole["tile_id"] != hit["tile_id"]
        assert (hit["h"], hit["w"]) == (160, 160)
    fate = {
        f"{row['source_path']}:{row['x0']}": (f["drop_stage"], f["benchmark_hit"])
        for row, f in zip(rows, marked.to_pylist(), strict=True)
        if not row["is_parent"] and row["drop_stage"] is None
    }
    # The surest hit is named; a copy that dedup dropped keeps its fate and names its hit.
    held = [row for row in rows if row["source_path"].startswith("b0")]
    surest = min(held, key=lambda row: row["tile_id"])
    first = f"{surest['dataset']}/{surest['source_path']}"
    assert fate == {
        "0.png:0": ("leakage", first),
        "1.png:0": ("leakage", "bench/b1.png"),
        "2.png:0": (None, None),
        "3.png:0": (None, None),
        "copy.png:0": ("dedup", first),
        "scene.tif:0": ("leakage", "bench/small.png"),
        "scene.tif:70": ("leakage", "bench/small.png"),
    }
    detail = dict(
        zip(marked["tile_id"].to_pylist(), marked["drop_detail"].to_pylist(), strict=True)
    )
    assert detail[rows[1]["tile_id"]].startswith("near match of bench/b1.png (")
    assert detail[rows[5]["tile_id"]].endswith(", of the whole image)")


def test_hits_do_not_depend_on_the_parts_and_fates_can_be_marked_part_by_part(rows, tmp_path):
    fates, hits, marked = leaks(tmp_path / "a", rows, (1,) * 10)
    assert hits.equals(leaks(tmp_path / "b", rows)[1])
    by_part = pa.concat_tables(mark_leaks(fates.slice(i, 4), hits) for i in range(0, len(rows), 4))
    assert by_part.equals(marked)


def test_without_a_hit_nothing_is_marked(rows, tmp_path):
    free = [row for row in rows if row["drop_stage"] is None]
    fates, hits, marked = leaks(tmp_path, free)
    assert hits.num_rows == 0
    assert marked.equals(fates)
    assert exclusion_list(hits).num_rows == 0


def test_the_exclusion_list_names_windows_of_published_files_once(rows, tmp_path):
    listed = exclusion_list(leaks(tmp_path, rows)[1])
    assert listed.schema == EXCLUSION_SCHEMA
    scene = [row for row in listed.to_pylist() if row["source_path"] == "scene.tif"]
    assert [(r["y0"], r["x0"], r["h"], r["w"], r["benchmark_path"]) for r in scene] == [
        (0, 0, 160, 160, "small.png")
    ]
    assert scene[0]["source_sha256"] == rows[7]["source_sha256"]
    assert listed.num_rows == 6
    assert listed["source_path"].to_pylist() == sorted(listed["source_path"].to_pylist())


def test_a_whole_image_needs_more_likeness_than_a_tile(greys, tmp_path):
    scene = np.asarray(Image.fromarray(greys[5]).resize((128, 128)))
    noisy = noisy_copy(scene, 0.952, 0.968)
    rows = [
        tile("scene.tif", scene[:64, :64], window=(0, 0)),
        tile("scene.tif", scene, window=(0, 0), is_parent=True),
        tile("whole.png", scene),
        tile("b.png", noisy, dataset="bench", held_out=True),
    ]
    rows[3]["orientation_hashes"] = rows[2]["orientation_hashes"]
    parts = write_parts(tmp_path, rows, [])
    before = table(rows).select([n for n in FATE_SCHEMA.names if n in TILE_SCHEMA.names])
    fates = pa.table(
        [
            before[f.name] if f.name in before.column_names else pa.nulls(len(rows), f.type)
            for f in FATE_SCHEMA
        ],
        schema=FATE_SCHEMA,
    )
    strict, lax = LeakageConfig(), LeakageConfig(min_image_similarity=0.95)
    hits = find_leaks(parts, fates, strict.rules(DedupConfig()), tmp_path).to_pylist()
    assert [h["source_path"] for h in hits] == ["whole.png"]
    assert 0.95 <= hits[0]["similarity"] < 0.97
    hits = find_leaks(parts, fates, lax.rules(DedupConfig()), tmp_path).to_pylist()
    assert [h["source_path"] for h in hits] == ["scene.tif", "whole.png"]
