# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.rank import keep_rank, rank_parts
from tests.curate.dedup.tile_tables import table, tile, write_parts

KEEP = DedupConfig().keep
GREY = np.arange(1024, dtype=np.uint8).reshape(32, 32)


def best(*rows, keep=KEEP):
    """Paths, best first."""
    rank = keep_rank(table(rows), keep)
    return [rows[i]["source_path"] for i in np.argsort(rank)]


def row(path, **values):
    return tile(path, GREY, **{"gsd_m": 1.0, "redistributable": True} | values)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"label": "sea"}, {"redistributable": True}),
        ({"boxes": []}, {}),
        ({"mask_path": "m.png"}, {}),
        ({"footprints_path": "f.json"}, {}),
        ({"caption": "a harbour"}, {}),
        ({}, {"redistributable": None, "height": 64}),
        ({}, {"redistributable": False, "height": 64}),
        ({"width": 33}, {"original_bytes": True}),
        ({"gsd_m": 2.0}, {"original_bytes": False}),
        ({"gsd_m": 0.5}, {"gsd_m": 0.6}),
        ({"gsd_m": 0.5}, {"gsd_m": None}),
    ],
)
def test_each_rule_goes_before_those_behind_it(better, worse):
    assert best(row("a.png", **worse), row("z.png", **better)) == ["z.png", "a.png"]


def test_a_whole_image_is_as_large_as_it_is_not_as_the_picture_it_is_measured_from():
    whole = row("z.png", is_parent=True, original_bytes=False, h=640, w=640)
    assert best(row("a.png", height=64, width=64), whole) == ["z.png", "a.png"]


def test_the_recipe_may_order_the_rules():
    rows = [row("a.png", label="sea"), row("z.png", height=64)]
    assert best(*rows) == ["a.png", "z.png"]
    assert best(*rows, keep=("larger",)) == ["z.png", "a.png"]
    assert best(*rows, keep=()) == ["a.png", "z.png"]


def test_equals_are_ranked_by_dataset_depth_path_and_window():
    rows = [
        tile("deep/a.png", GREY, dataset="b"),
        tile("z.png", GREY, dataset="a"),
        tile("b.png", GREY, dataset="b"),
        tile("a.png", GREY, dataset="b", window=(0, 64), original_bytes=True),
        tile("a.png", GREY, dataset="b", window=(0, 8), original_bytes=True),
    ]
    assert keep_rank(table(rows), KEEP).tolist() == [4, 0, 3, 2, 1]


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(0, 20))
def test_ranks_are_those_of_sorting_rows_and_depend_on_neither_parts_nor_order(
    tmp_path_factory, seed, count
):
    rng = np.random.default_rng(seed)
    rows = [
        row(
            rng.choice(["a.png", "b/a.png", "b/c.png"]),
            window=(int(rng.integers(0, 3)), int(rng.integers(0, 100))),
            dataset=rng.choice(["one", "two"]),
            label=rng.choice([None, "sea"]),
            redistributable=rng.choice([None, True]),
            height=int(rng.choice([32, 64])),
            original_bytes=bool(rng.integers(0, 2)),
            gsd_m=rng.choice([None, 1.0]),
        )
        for _ in range(count)
    ]

    def key(r):
        return (
            r["label"] is None,
            r["redistributable"] is not True,
            -r["height"] * r["width"],
            not r["original_bytes"],
            r["gsd_m"] or np.inf,
            *(r["dataset"], r["source_path"].count("/"), r["source_path"], r["y0"], r["x0"]),
            r["tile_id"],
        )

    rank = keep_rank(table(rows), KEEP)
    assert sorted(rank.tolist()) == list(range(count))
    assert [key(rows[i]) for i in np.argsort(rank)] == sorted(key(r) for r in rows)
    parts = write_parts(tmp_path_factory.mktemp("rank"), rows, [count // 3, count // 3])
    sizes = [count // 3, count // 3, count - 2 * (count // 3)]
    by_part = rank_parts(parts, [np.arange(size) for size in sizes], KEEP)
    assert by_part.tolist() == rank.tolist()


def test_no_part_has_no_rank():
    assert rank_parts([], [], KEEP).tolist() == []
