# SPDX-License-Identifier: Apache-2.0
"""Laws of whole-corpus steps that never see the whole: partitions do not show in what comes out."""

import hashlib
import os
from collections import Counter
from itertools import accumulate

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rspipe.corpus.format import shard_name
from rspipe.curate import ledger as ledger_step
from rspipe.curate.config import CurateRecipe
from rspipe.curate.datasets import iter_datasets
from rspipe.curate.ingest import IngestItem, ingest
from rspipe.curate.ledger import build_funnel, count_rows_by_fate, plan_ledger, write_ledger
from rspipe.curate.listing import write_listing
from rspipe.curate.pack import plan_shards
from rspipe.io.tables import read_json, read_table
from rspipe.schema import LEDGER_SCHEMA
from tests.curate.tables import write_partitions

IMAGES = [
    (dataset, f"{number:03d}.jpg", [(y0, 10 + number % 7) for y0 in range(number % 4)])
    for dataset in ("a", "b")
    for number in range(40)
]
DROPPED = {f"a/{number:03d}.jpg@1" for number in range(0, 40, 3)}


def ledger_files(folder, cuts, file_rows):
    """Write the ledger of IMAGES, partitioned at `cuts`; its files' digests and its counts."""
    partitions = write_partitions(folder, IMAGES, cuts, DROPPED)
    items = plan_ledger(partitions, None, file_rows)
    counts = {}
    digests = []
    for index, item in enumerate(items):
        target = folder / shard_name(index, len(items), "ledger")
        write_ledger(item, folder / "receipt.json", target)
        digests.append(hashlib.sha256(target.read_bytes()).hexdigest())
        note = read_json(folder / "receipt.json")
        assert note["sha256"] == digests[-1]
        for *key, n in note["counts"]:
            counts[tuple(key)] = counts.get(tuple(key), 0) + n
    return digests, counts


@pytest.mark.parametrize("cuts", [[40], [1, 2, 3, 79], list(range(0, 80, 7)), [5, 5, 5, 60, 60]])
@pytest.mark.parametrize("file_rows", [10_000, 50, 7])
def test_the_ledgers_bytes_do_not_depend_on_the_partitions(tmp_path, monkeypatch, cuts, file_rows):
    monkeypatch.setattr(ledger_step, "_ROW_GROUP_ROWS", 11)
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one = ledger_files(tmp_path / "one", [], file_rows)
    assert ledger_files(tmp_path / "many", cuts, file_rows) == one
    assert len(one[0]) == -(-(80 + 120) // file_rows)


def test_the_ledger_is_sorted_over_all_its_files_and_its_counts_are_its_rows(tmp_path):
    _, counts = ledger_files(tmp_path, [3, 9, 41], 30)
    tables = [read_table(p, LEDGER_SCHEMA) for p in sorted(tmp_path.glob("ledger-*"))]
    rows = [row for table in tables for row in table.to_pylist()]
    order = [(r["dataset"], r["source_path"], r["level"], r["y0"] or 0) for r in rows]
    assert order == sorted(order)
    assert sum(counts.values()) == len(rows) == 200
    assert counts == sum((count_rows_by_fate(t) for t in tables), start=Counter())
    funnel = {step["stage"]: step for step in build_funnel(Counter(counts))}
    assert funnel["dedup"]["dropped"] == {"x": sum(r["drop_stage"] == "dedup" for r in rows)}


def test_partitions_follow_the_order_of_the_tables_whatever_files_and_data_sets_are_called(
    tmp_path,
):
    names = [b"\xf0\x9f\x9b\xb0.png", b"\xe9.png", "ﬃ.png".encode(), b"a/b.png", b"a.png", b"a b"]
    data = tmp_path / "data"
    for folder, card in (("zoo", "alps"), ("Art", None), ("alb", "zinc")):
        for name in names:
            path = data / folder / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        if card is not None:
            (data / folder / "dataset.yaml").write_text(f"name: {card}\n")
    (data / "loose.txt").write_bytes(b"x")
    recipe = CurateRecipe(name="t", data=data, how={"files_per_partition": 2})
    listed = [write_listing(d, tmp_path / "st", recipe.how) for d in iter_datasets(recipe)]
    tables = [
        ingest(IngestItem(d.storage, d.card, d.folder.part(i)))
        for d in listed
        for i in range(d.n_partitions)
    ]
    assert len(tables) >= 12
    found = pa.concat_tables(tables).select(["dataset", "source_path"])
    by_arrow = found.sort_by([("dataset", "ascending"), ("source_path", "ascending")])
    assert found.equals(by_arrow)
    assert found.num_rows == 3 * len(names) + 3


def test_no_file_at_all_makes_an_empty_ledger(tmp_path):
    (item,) = plan_ledger([], None)
    write_ledger(item, tmp_path / "receipt.json", tmp_path / "ledger.parquet")
    assert read_table(tmp_path / "ledger.parquet", LEDGER_SCHEMA).num_rows == 0


def greedy(sizes, most):
    """Sizes of shards, one tile after the other."""
    shards, size = [], 0
    for one in sizes:
        if shards and size and size + one <= most:
            shards[-1] += 1
        else:
            shards.append(1)
            size = 0
        size += one
    return shards


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 30), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=6).map(sorted),
    most=st.integers(1, 60),
)
def test_shards_are_cut_as_if_tiles_came_one_by_one(tmp_path, sizes, cuts, most):
    images = [("d", f"{i:02d}", [(0, size)]) for i, size in enumerate(sizes)]
    cuts = [min(cut, len(images)) for cut in cuts]
    shards = plan_shards(write_partitions(tmp_path, images, cuts), most)
    counts = [sum(span.stop - span.start for span in spans) for spans in shards]
    assert sum(counts) == len(sizes)
    assert all(counts)
    if 0 not in sizes:
        assert counts == greedy(sizes, most)
    for stop, count in zip(accumulate(counts), counts, strict=True):
        assert count == 1 or sum(sizes[stop - count : stop]) <= most
