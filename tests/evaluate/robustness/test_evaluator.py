# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import torch

from rspipe.catalog import card_for
from rspipe.errors import RecipeError
from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.classification.probes import PROBES
from rspipe.evaluate.classification.probing import Classification, Scenes
from rspipe.evaluate.config import Bootstrap, EvalRecipe, Knn, LogisticProbe, What
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.frozen.token_extraction import TokenCache, extract_tokens
from rspipe.evaluate.robustness.corruptions import veil
from rspipe.evaluate.robustness.evaluator import UnderCorruption, estimate
from rspipe.evaluate.robustness.settings import Robustness
from rspipe.evaluate.runner import evaluate
from rspipe.io.images import decode
from rspipe.recipe import validate
from tests.evaluate.native_sets import write_scenes

CPU = torch.device("cpu")
NOTHING = {
    "blur_px": (0.0,),
    "haze": (0.0,),
    "gsd_factor": (1.0,),
    "pgd": {"epsilon": 0, "steps": 1},
}


def what(**said):
    return What(
        robustness=Robustness.model_validate(said, strict=False),
        bootstrap=Bootstrap(resamples=50),
        knn=Knn(k=3, also_k=(1,)),
        logistic=LogisticProbe(c_grid=(1.0,)),
        folds=2,
    )


class Lab:
    """A set in two folds, its features, and what runs a probe on it."""

    def __init__(self, folder, encoder):
        write_scenes(folder / "hues", splits=(), per_class=6)
        self.judged = Judged(encoder, "0a")
        self.cache = TokenCache(folder / "features", "float32", 4, CPU)
        listed = list_benchmark(folder / "hues", card_for(folder / "hues"), what(haze=[0.5]))
        made = extract_tokens(listed, {"a": self.judged}, frozenset(), self.cache)
        self.benchmark, self.features = made.benchmark, made.features["a"]

    def run(self, said, probe="knn"):
        judge = UnderCorruption(probe, said, CPU)
        return judge.run_with_encoder(self.benchmark, self.features, self.judged, self.cache)


@pytest.fixture
def lab(tmp_path, tiny_encoder):
    return Lab(tmp_path, tiny_encoder)


def test_corruptions_of_no_severity_change_no_feature_and_no_answer(lab):
    found = lab.run(what(**NOTHING))
    assert [one["kind"] for one in found.extra["corruptions"]] == [
        "blur_px",
        "haze",
        "gsd_factor",
        "pgd",
    ]
    for one in found.extra["corruptions"]:
        assert one["feature_distance"] == {"value": 0.0, "ci_low": 0.0, "ci_high": 0.0}
        assert one["change"] == {"value": 0.0, "ci_low": 0.0, "ci_high": 0.0}
    own = Classification(PROBES["knn"], what(**NOTHING), CPU).run(lab.benchmark, lab.features)
    assert found.value == found.extra["clean"]["value"] == own.value
    assert (found.arrays["right"][0] == (own.arrays["predicted"] == own.arrays["truth"])).all()


def test_change_is_that_of_corrupted_files_by_hand(lab, tiny_encoder):
    """The probe is fitted on clean images, and corrupted pixels are encoded one by one."""
    said = what(haze=[0.9])
    found = lab.run(said, "logistic")
    (one,) = found.extra["corruptions"]
    scenes = Scenes.of(lab.benchmark, lab.features)
    fitted = Classification(PROBES["logistic"], said, CPU).fit_folds(lab.benchmark, scenes)
    right = []
    for (probe,), fold in zip(fitted, lab.benchmark.folds, strict=True):
        for i in fold.test.tolist():
            path = lab.benchmark.records[i].source_path
            hazy = veil(decode(lab.benchmark.storage.read_bytes(path), path), 0.9)
            with torch.no_grad():
                tokens = tiny_encoder.tokens(tiny_encoder.preprocess(hazy[None]), final_norm=True)
            vector = tokens[:, 1:].mean(dim=1).numpy()
            right.append(probe.path.predict(vector)[0] == scenes.labels[i])
    assert one["value"] == pytest.approx(np.mean(right))
    assert one["change"]["value"] == pytest.approx(np.mean(right) - found.extra["clean"]["value"])
    assert found.value == one["value"]
    assert one["feature_distance"]["value"] > 0


def test_interval_of_a_change_is_paired():
    """Where every image loses alike the change is certain, however uncertain both scores are."""
    right = np.random.default_rng(0).random((1, 40))
    found = estimate(np.concatenate([right, right - 0.25]), np.zeros((2, 40)), what(haze=[0.5]))
    change = found.values[3], found.low[3], found.high[3]
    assert change == pytest.approx((-0.25,) * 3)
    assert found.high[1] - found.low[1] > 0.05
    some = np.arange(7)
    assert found.of(some).values[0] == pytest.approx((right[0, :7] - 0.25).mean())


def test_features_that_a_killed_run_had_made_are_not_made_again(lab, monkeypatch):
    said = what(blur_px=[1.0, 3.0], jpeg=[20])
    straight = lab.run(said)
    killed = kill_at(2, UnderCorruption._encode)
    monkeypatch.setattr(UnderCorruption, "_encode", killed)
    fresh = TokenCache(lab.cache.root / "anew", "float32", 4, CPU)
    lab.cache = fresh
    with pytest.raises(KeyboardInterrupt):
        lab.run(said)
    monkeypatch.undo()
    files = {path: path.stat().st_mtime_ns for path in fresh.root.rglob("pooled.npy")}
    assert len(files) == 2
    resumed = lab.run(said)
    assert all(path.stat().st_mtime_ns == when for path, when in files.items())
    assert len(list(fresh.root.rglob("pooled.npy"))) == 3
    assert (resumed.value, resumed.extra) == (straight.value, straight.extra)


def rows_of(out):
    rows = json.loads((out / "results.json").read_text())
    return [EvalResult.model_validate_json(json.dumps(row)) for row in rows]


def kill_at(count, encode):
    calls = []

    def killed(*args):
        if len(calls) == count:
            raise KeyboardInterrupt
        calls.append(0)
        return encode(*args)

    return killed


def test_rows_stand_beside_the_clean_ones_for_encoders_alone(recipe, tmp_path):
    write_scenes(tmp_path / "native" / "hues")
    said = {
        "protocols": {"classification": ["knn", "majority"]},
        "robustness": {"probes": ["knn"], "jpeg": [20], "pgd": {"epsilon": "2/255", "steps": 1}},
    }
    out = evaluate(recipe(tmp_path / "native", said, benchmarks=["hues"]))
    rows = [
        EvalResult.model_validate_json(json.dumps(r))
        for r in json.loads((out / "results.json").read_text())
    ]
    by_name = {(row.protocol, row.encoder): row for row in rows}
    assert {encoder for protocol, encoder in by_name if protocol == "knn_corrupted"} == {
        "pretrained",
        "random",
    }
    row = by_name["knn_corrupted", "pretrained"]
    assert row.extra["clean"]["value"] == by_name["knn", "pretrained"].value
    assert row.convention.startswith(
        "mean OA over corruptions of the test images: jpeg 20, pgd epsilon 0.00784"
    )
    assert row.metric == "OA_corrupted"
    plain = recipe(tmp_path / "native", {"protocols": said["protocols"]}, benchmarks=["hues"])
    # What is corrupted beside it changes no cell of a clean protocol.
    clean = {row.cell for row in rows if row.protocol != "knn_corrupted"}
    assert {row.cell for row in rows_of(evaluate(plain))} == clean


@pytest.mark.parametrize("said", [{}, {"jpeg": [0]}, {"haze": [2]}, {"gsd_factor": [0.5]}])
def test_impossible_severities_and_no_corruption_are_refused(said, tmp_path):
    plain = {"name": "a", "encoder": "b", "data": "c", "what": {"robustness": said}}
    with pytest.raises(RecipeError, match="robustness"):
        validate(plain, EvalRecipe, "test")


def test_a_probe_that_reads_no_feature_is_refused():
    with pytest.raises(RecipeError, match="majority"):
        UnderCorruption("majority", what(haze=[0.5]), CPU)
