# SPDX-License-Identifier: Apache-2.0
import csv
import json
import re
import xml.etree.ElementTree as ET

import pytest

from rspipe.compare import driver
from rspipe.compare.driver import compare
from rspipe.errors import RunError

SWEEP = {"base_lrs": [1e-3, 1e-2], "seed": 9, "budget_share": 0.5, "protocol": "knn"}


def result(out):
    return json.loads((out / "compare.json").read_text())


def test_every_variant_and_seed_is_run_judged_written_and_drawn(make_compare, train):
    recipe = make_compare(reference="random")
    out = compare(recipe, train)
    found = result(out)
    assert [(row["variant"], row["seed"]) for row in found["rows"]] == [
        ("mae", 0),
        ("mae", 1),
        ("random", 0),
        ("random", 1),
    ]
    for row in found["rows"]:
        assert 0 <= row["scores"]["knn"]["value"] <= 1
        assert row["seconds"] > 0 and row["training_macs"] > 0 and row["curve"]
        assert row["curve"][-1][0] == row["training_macs"]
    floors = {(row["variant"], row["seed"]) for row in found["floors"]}
    assert {(name, seed) for name in recipe.judge.what.baselines for seed in (0, 1)} == floors
    lines = list(csv.DictReader((out / "compare.csv").open()))
    assert len(lines) == len(found["rows"]) + len(found["floors"])
    gap = found["summary"]["mae"]["knn"]["against_reference"]
    by_name = {(r["variant"], r["seed"]): r["scores"]["knn"]["value"] for r in found["rows"]}
    differences = [by_name["mae", seed] - by_name["random", seed] for seed in (0, 1)]
    assert gap["mean"] == pytest.approx(sum(differences) / 2)
    # The plot and the page need no other file.
    ET.fromstring((out / "compare.svg").read_text())
    page = (out / "compare.html").read_text()
    assert "<svg" in page
    assert not re.findall(r'(?:src|href)="', page)


def test_a_finished_comparison_trains_nothing_and_says_the_same(make_compare, train):
    recipe = make_compare(sweep=SWEEP)
    out = compare(recipe, train)
    first = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    done = len(train.done)
    compare(recipe, train)
    assert len(train.done) == done
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == first


def test_a_further_seed_trains_only_its_own_runs(make_compare, train):
    compare(make_compare(), train)
    before = set(train.done)
    compare(make_compare(seeds=[0, 1, 2]), train)
    assert {name.rsplit("-", 1)[0] for name in set(train.done) - before} == {"mae-s2", "random-s2"}


def test_the_best_rate_on_the_validation_part_is_the_one_that_is_run(
    make_compare, train, monkeypatch
):
    scores = {"mae-lr0.001": 0.6, "mae-lr0.01": 0.5, "random-lr0.001": 0.4, "random-lr0.01": 0.4}
    monkeypatch.setattr(
        driver.Bench,
        "validation_score",
        lambda bench, folder, protocol, share: scores[folder.name.rsplit("-", 1)[0]],
    )
    found = result(compare(make_compare(sweep=SWEEP), train))
    assert {row["variant"]: row["base_lr"] for row in found["rows"]} == {
        "mae": 1e-3,
        "random": 1e-3,  # a tie: the smaller one
    }
    assert [c["base_lr"] for c in found["sweep"] if c["is_chosen"]] == [1e-3, 1e-3]
    halves = {r["variant"]: r["steps"] // 2 for r in found["rows"]}
    for name in train.done[:4]:
        run = json.loads(
            (driver.Path(recipe_out(found)) / "runs" / name / "manifest.json").read_text()
        )
        assert abs(run["steps"] - halves[name.split("-", maxsplit=1)[0]]) <= 1


def recipe_out(found):
    return found["recipe"]["out"]


def test_a_run_that_diverges_is_a_result_and_all_of_them_an_error(make_compare, train):
    wild = {"what": {"base_lr": 1e30, "clip": None, "warmup_fraction": 0.0}}

    def tolerant(runs, parallel):
        for run in runs:
            try:
                train([run], parallel)
            except RunError as error:
                assert "loss" in str(error)

    out = compare(make_compare(variants={"wild": wild, "tame": {}}), tolerant)
    found = result(out)
    assert {r["variant"]: bool(r["scores"]) for r in found["rows"]} == {"wild": False, "tame": True}
    assert "diverged" in (out / "compare.html").read_text()
    with pytest.raises(RunError, match="every run diverged"):
        compare(make_compare(variants={"wild": wild}), tolerant)


def test_with_a_budget_in_seconds_the_pace_is_measured_once_and_kept(make_compare, train):
    recipe = make_compare(budget={"seconds": 0.2}, seeds=[0])
    out = compare(recipe, train)
    pace = json.loads((out / "pace.json").read_text())
    steps = {row["variant"]: row["steps"] for row in result(out)["rows"]}
    for name, seconds in pace.items():
        assert steps[name.split("-", maxsplit=1)[0]] == max(1, round(0.2 / seconds))
    done = len(train.done)
    compare(recipe, train)
    assert len(train.done) == done
