# SPDX-License-Identifier: Apache-2.0
import json
import re
from html import unescape

import pyarrow.compute as pc
import pytest

from rspipe.corpus.reader import Corpus
from rspipe.curate.screen import RULES
from rspipe.errors import RspipeError
from rspipe.report.browser import build
from rspipe.report.browser.build import build_browser, draw_sample
from rspipe.report.browser.payload import MEASURES
from tests.report.browser.world import FIELDS, HOSTILE, SEA, key_of


def data_of(page):
    text = re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(text.group(1))


def pictures_of(page):
    text = re.search(r'id="pictures">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(text.group(1))


def listed(column):
    if isinstance(column, list):
        return column
    return [column["values"][code] for code in column["codes"]]


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    return build_browser(world, tmp_path_factory.mktemp("pages") / "whole.html")


def test_the_counts_of_the_cells_are_the_funnels(world):
    sample = draw_sample(Corpus.open(world), 1_000, seed=0)
    by_fate = {}
    for cell, count in sample.cells.items():
        by_fate[cell[1]] = by_fate.get(cell[1], 0) + count
    assert by_fate == {
        "kept": 36,
        "screen.blank": 3,
        "dedup.near_duplicate": 1,
        "leakage.benchmark_leak": 1,
        "exclude.benchmark_split": 4,
        "ingest.unreadable": 1,
    }


def test_every_tile_and_dropped_file_is_once_on_a_page_that_holds_all(world, whole):
    tiles = data_of(whole)["tiles"]
    assert len(tiles["key"]) == len(set(tiles["key"])) == 46
    ledger = Corpus.open(world).ledger(["tile_id", "level"])
    ids = ledger.filter(pc.equal(ledger["level"], "tile"))["tile_id"].to_pylist()
    assert set(ids) <= set(tiles["key"])


def test_same_corpus_and_seed_give_the_same_bytes(world, whole, tmp_path):
    again = build_browser(world, tmp_path / "again.html")
    assert again.read_bytes() == whole.read_bytes()


def test_a_sample_brings_survivors_copies_benchmarks_and_neighbours_along(world, tmp_path):
    data = data_of(build_browser(world, tmp_path / "page.html", rows=16))
    keys = data["tiles"]["key"]
    assert data["sample"]["total"] == 46
    assert data["sample"]["level"] == 3
    drawn = {name: keys.index(key_of(name)) for name in ("copy", "leak")}
    assert {key_of("f1"), key_of("h0")} <= set(keys)
    assert listed(data["tiles"]["duplicate_of"])[drawn["copy"]] == key_of("f1")
    assert sum(listed(data["cells"]["count"])) == 46
    scene = data["images"][0]
    assert scene["count"] == len(scene["windows"]) == 9
    assert sum(window[0] >= 0 for window in scene["windows"]) >= 7


def test_what_hit_a_benchmark_is_drawn_first(world):
    sample = draw_sample(Corpus.open(world), 4, seed=3)
    assert key_of("leak") in sample.keys


def test_a_page_without_room_leaves_out_pictures_from_the_end_and_says_how_many(
    world, whole, tmp_path, monkeypatch
):
    pictures = pictures_of(whole)
    room = whole.stat().st_size - sum(len(one or "") for one in pictures) // 2
    monkeypatch.setattr(build, "MOST_BYTES", room)
    page = build_browser(world, tmp_path / "page.html")
    shown = pictures_of(page)
    count = next(
        i for i, (one, other) in enumerate(zip(shown, pictures, strict=True)) if one != other
    )
    assert sum(one is not None for one in shown) > 3
    left_out = sum(one is not None for one in pictures[count:])
    assert shown == [*pictures[:count], *[None] * (len(pictures) - count)]
    assert page.stat().st_size <= room
    assert f"{left_out} pictures are left out" in page.read_text()
    assert "pictures are left out" not in whole.read_text()
    assert len(data_of(page)["tiles"]["key"]) == 46


def test_no_name_can_leave_its_place_in_the_page(whole):
    page = whole.read_text()
    assert HOSTILE in listed(data_of(whole)["tiles"]["source_path"])
    assert "onerror=window" in page
    assert "<img src=x" not in page
    assert page.count("</script>") == 3
    assert "default-src 'none'; img-src data:; " in unescape(page)


def test_the_page_names_every_measure_that_a_rule_limits_and_its_limits():
    for rule in RULES.values():
        assert rule.limit in MEASURES[rule.column][1:]


def test_ground_resolution_and_annotation_are_those_of_the_kept(world):
    cells = draw_sample(Corpus.open(world), 1_000, seed=0).cells
    kept = {cell[4:]: n for cell, n in cells.items() if cell[:2] == (FIELDS, "kept")}
    # 4 m lies between 2 and 5; bit 0 is the label, 1 the boxes, 3 the caption.
    assert kept == {(3, 1): 15, (5, 1): 13, (5, 3): 1, (5, 9): 1}
    assert cells[SEA, "kept", "", "", -1, 0] == 6


@pytest.mark.parametrize("rows", [0, 20_001])
def test_a_page_that_no_browser_could_open_is_refused(world, tmp_path, rows):
    with pytest.raises(RspipeError, match="--rows"):
        build_browser(world, tmp_path / "page.html", rows=rows)
