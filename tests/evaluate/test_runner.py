# SPDX-License-Identifier: Apache-2.0
import csv
import json
import shutil
from typing import ClassVar

import numpy as np
import pytest
import torch

from rspipe.errors import RecipeError, WeightsError
from rspipe.evaluate import EVALUATORS, runner
from rspipe.evaluate.base import EvalResult, Scores
from rspipe.evaluate.config import What
from rspipe.evaluate.runner import evaluate
from tests.evaluate.native_sets import (
    write_boxes,
    write_card,
    write_masks,
    write_scenes,
)


@pytest.fixture
def native(tmp_path):
    """One small set of each task, and one that cannot be judged."""
    folder = tmp_path / "native"
    write_scenes(folder / "hues")
    write_boxes(folder / "lamps")
    write_masks(folder / "roofs")
    write_card(folder / "silent")
    return folder


def rows_of(out):
    return [
        EvalResult.model_validate(row) for row in json.loads((out / "results.json").read_text())
    ]


def numbers(out):
    return {
        (r.benchmark, r.protocol, r.encoder): (r.value, r.ci_low, r.ci_high, r.per_class)
        for r in rows_of(out)
    }


def test_every_protocol_judges_the_trained_and_the_random_encoder(native, recipe, capsys):
    every = {task: [name for of, name in EVALUATORS if of == task] for task, _ in EVALUATORS}
    out = evaluate(recipe(native, {"protocols": every}))
    done = [row for row in rows_of(out) if row.status == "done"]
    assert {(row.task, row.protocol) for row in done} == set(EVALUATORS)
    readers = {"tokens": {"pretrained", "random"}, "labels": {"none"}}
    readers["vectors"] = {"pretrained", "random", "image_statistics"}
    evaluators = {key: make(What(), torch.device("cpu")) for key, make in EVALUATORS.items()}
    assert {(row.task, row.protocol, row.encoder) for row in done} == {
        (*key, label)
        for key, one in evaluators.items()
        for label in readers[getattr(one, "reads", "tokens")]
    }
    for row in done:
        assert row.ci_low <= row.value <= row.ci_high
        assert row.metric and row.convention and row.encoder_sha256 and row.n_test
        assert (out / "cells" / f"{row.cell}.json").is_file()
    by_name = {(row.protocol, row.encoder): row for row in done if row.benchmark == "hues"}
    for protocol in ("logistic", "linear", "efficient", "attentive"):
        assert by_name[protocol, "pretrained"].value > 0.9, protocol
    assert by_name["logistic", "image_statistics"].value > by_name["majority", "none"].value
    trained, random = by_name["knn", "pretrained"], by_name["knn", "random"]
    assert trained.encoder_sha256 != random.encoder_sha256
    table = capsys.readouterr().out
    assert "pretrained" in table
    assert "skipped silent: its card states no task" in table


def test_files_of_an_evaluation(native, recipe):
    out = evaluate(recipe(native))
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["complete"] is True
    assert manifest["recipe"]["name"] == "quick"
    flat = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [row["benchmark"] for row in flat] == [row.benchmark for row in rows_of(out)]
    roofs = next(row for row in rows_of(out) if row.benchmark == "roofs")
    with np.load(out / "cells" / f"{roofs.cell}.npz") as arrays:
        assert arrays["confusion"].shape == (2, 2)
        assert arrays["predicted_0"].shape == arrays["truth_0"].shape == (32, 32)
    examples = json.loads((out / "cells" / f"{roofs.cell}.json").read_text())["examples"]
    assert (native / "roofs" / examples[0]["path"]).is_file()
    assert (native / "roofs" / examples[0]["mask_path"]).is_file()


def test_same_recipe_same_numbers(native, recipe):
    first = numbers(evaluate(recipe(native)))
    shutil.rmtree(recipe(native).out_folder)
    assert numbers(evaluate(recipe(native))) == first


def test_batch_size_changes_no_number(native, recipe):
    first = numbers(evaluate(recipe(native, benchmarks=["hues"])))
    shutil.rmtree(recipe(native).out_folder)
    how = {"device": "cpu", "threads": 1, "batch": 3}
    other = numbers(evaluate(recipe(native, benchmarks=["hues"], how=how)))
    assert {key: value[0] for key, value in other.items()} == pytest.approx(
        {key: value[0] for key, value in first.items()}
    )


def test_killed_run_repeats_no_finished_cell(native, recipe, monkeypatch):
    straight = numbers(evaluate(recipe(native)))
    shutil.rmtree(recipe(native).out_folder)
    filled = []
    fill = runner._fill

    def fill_three(cell, *rest):
        if len(filled) == 3:
            raise KeyboardInterrupt
        filled.append(cell.fingerprint)
        return fill(cell, *rest)

    monkeypatch.setattr(runner, "_fill", fill_three)
    with pytest.raises(KeyboardInterrupt):
        evaluate(recipe(native))
    again = []
    monkeypatch.setattr(
        runner, "_fill", lambda c, *rest: again.append(c.fingerprint) or fill(c, *rest)
    )
    assert numbers(evaluate(recipe(native))) == straight
    assert not set(filled) & set(again)
    assert len(filled) + len(again) == len([key for key in straight if key[1]])


def test_finished_evaluation_fills_nothing(native, recipe, monkeypatch):
    out = evaluate(recipe(native))
    before = (out / "results.json").read_bytes()
    monkeypatch.setattr(runner, "_extracted", None)
    evaluate(recipe(native))
    assert (out / "results.json").read_bytes() == before


def test_finished_cells_are_told_of_their_corpus(native, recipe, run_folder, tmp_path, monkeypatch):
    shutil.copytree(run_folder, tmp_path / "run")
    said = {"encoder": str(tmp_path / "run"), "benchmarks": ["hues"]}
    sha256 = rows_of(evaluate(recipe(native, **said)))[0].encoder_sha256
    made = {"encoder_sha256": sha256, "corpus_fingerprint": "c0ffee"}
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(made))
    monkeypatch.setattr(runner, "_extracted", None)
    out = evaluate(recipe(native, **said))
    flat = csv.DictReader((out / "results.csv").read_text().splitlines())
    assert {(row["encoder"], row["corpus_fingerprint"]) for row in flat} == {
        ("pretrained", "c0ffee"), ("random", ""), ("image_statistics", "")
    }  # fmt: skip


def test_changed_protocol_settings_redo_only_its_cells(native, recipe):
    cells = {row.protocol: row.cell for row in rows_of(evaluate(recipe(native)))}
    changed = {
        row.protocol: row.cell for row in rows_of(evaluate(recipe(native, {"knn": {"k": 3}})))
    }
    assert [name for name in cells if cells[name] != changed[name]] == ["knn", "knn_white"]


def test_unreadable_images_are_counted_and_named(native, recipe):
    (native / "hues" / "test" / "red" / "red_1.png").write_bytes(b"")
    (native / "roofs" / "test" / "masks" / "2.png").write_bytes(b"")
    out = evaluate(recipe(native))
    hues = next(row for row in rows_of(out) if row.benchmark == "hues")
    assert (hues.n_unreadable, hues.n_test) == (1, 23)
    assert list(hues.extra["unreadable"]) == ["test/red/red_1.png"]
    roofs = next(row for row in rows_of(out) if row.benchmark == "roofs")
    assert (roofs.n_unreadable, roofs.n_test) == (1, 5)


def test_set_without_a_readable_image_is_a_row_not_a_crash(native, recipe):
    for path in (native / "hues").rglob("*.png"):
        path.write_bytes(b"GIF8 and no more")
    out = evaluate(recipe(native, benchmarks=["hues"]))
    assert {row.status for row in rows_of(out)} == {"skipped"}
    assert "48 unreadable" in rows_of(out)[0].reason


def test_folds_score_every_image(tmp_path, recipe):
    write_scenes(tmp_path / "native" / "hues", splits=())
    out = evaluate(recipe(tmp_path / "native", {"folds": 4}))
    knn = rows_of(out)[0]
    assert (knn.n_folds, knn.n_train, knn.n_test) == (4, 18, 24)


def test_unknown_protocol_is_an_error_with_the_nearest(native, recipe):
    with pytest.raises(RecipeError, match="did you mean 'knn'"):
        evaluate(recipe(native, {"protocols": {"classification": ["kn"]}}))


def test_folder_without_encoder_is_an_error(native, recipe, tmp_path):
    with pytest.raises(WeightsError):
        evaluate(recipe(native, encoder=str(tmp_path)))


@pytest.mark.real_data
def test_knn_on_real_scenes_is_above_chance(real_data, recipe):
    out = evaluate(
        recipe(
            real_data,
            {"protocols": {"classification": ["knn"]}, "baselines": []},
            benchmarks=["eurosat_recut"],
        )
    )
    (row,) = rows_of(out)
    assert (row.n_train, row.n_test, row.n_classes) == (640, 160, 10)
    assert row.ci_low > 0.15


class ReadsPixels:
    """Scores the share of test images that it can open; leaves a file in its folder."""

    task, protocol, metric, convention = "segmentation", "pixels", "share", "for a test"
    encoders: ClassVar = []

    def __init__(self, what, device):
        self.what = what

    @property
    def settings(self):
        return self.what.bootstrap

    def run_on_pixels(self, benchmark, encoder, work):
        work.mkdir(parents=True)
        (work / "seen").write_text(benchmark.name)
        self.encoders.append(encoder)
        lost = benchmark.records[benchmark.folds[0].test[0]].source_path
        return Scores(value=0.5, ci_low=0.4, ci_high=0.6, unreadable={lost: "torn"})


def test_protocol_that_reads_pixels_gets_the_encoder_and_no_features(native, recipe, monkeypatch):
    monkeypatch.setitem(EVALUATORS, ("segmentation", "pixels"), ReadsPixels)
    monkeypatch.setattr(runner, "extract", None)
    what = {"protocols": {"segmentation": ["pixels"]}}
    out = evaluate(recipe(native, what, benchmarks=["roofs"]))
    trained, random = rows_of(out)
    assert (trained.value, trained.n_test, trained.n_unreadable) == (0.5, 5, 1)
    assert (out / "cells" / f"{trained.cell}.work" / "seen").read_text() == "roofs"
    assert trained.cell != random.cell
    assert len({id(encoder) for encoder in ReadsPixels.encoders}) == 2


def test_spread_of_seeds_stands_apart_from_the_interval_and_curves_in_a_file_of_their_own(
    native, recipe, capsys
):
    chosen = {"protocols": {"classification": ["linear", "few_shot"]}, "baselines": []}
    out = evaluate(recipe(native, chosen, benchmarks=["hues"]))
    linear, few_shot = rows_of(out)
    assert (linear.n_seeds, few_shot.n_seeds, few_shot.n_train) == (3, 2, 12)
    assert f"] ±{linear.seed_std:.3f}" in capsys.readouterr().out
    points = list(csv.DictReader((out / "curves.csv").read_text().splitlines()))
    assert [(p["protocol"], p["size"], p["n_train"]) for p in points] == [
        ("few_shot", "1", "3"),
        ("few_shot", "4", "12"),
    ]
    assert float(points[-1]["value"]) == few_shot.value
