# SPDX-License-Identifier: Apache-2.0
"""Probes on real scenes, with what needs no training of an encoder."""

import json

import pytest

from rspipe.evaluate.runner import evaluate

pytestmark = pytest.mark.real_data

QUICK = {"epochs": 1, "min_steps": 120, "lr_grid": [8.0]}


@pytest.fixture
def rows(real_data, recipe):
    """Evaluate a real set; rows by protocol and encoder."""

    def run(benchmark, **what):
        out = evaluate(recipe(real_data, {"baselines": [], **what}, benchmarks=[benchmark]))
        found = json.loads((out / "results.json").read_text())
        return {(row["protocol"], row["encoder"]): row for row in found}

    return run


def protocols(*names):
    return {"classification": list(names)}


@pytest.mark.parametrize(
    ("benchmark", "counts"),
    [("eurosat_recut", (640, 0, 160, 10)), ("hurricane_damage", (200, 200, 200, 2))],
)
def test_image_statistics_beat_the_majority_class(rows, benchmark, counts):
    found = rows(
        benchmark,
        protocols=protocols("majority", "logistic"),
        baselines=["image_statistics"],
        max_images=None if benchmark == "eurosat_recut" else 200,
        logistic={"c_grid": [0.01, 1.0]},
    )
    majority, statistics = found["majority", "none"], found["logistic", "image_statistics"]
    assert tuple(statistics[f"n_{x}"] for x in ("train", "validation", "test", "classes")) == counts
    balanced = [row["extra"]["AA"] for row in (majority, statistics)]
    assert balanced[0]["value"] == pytest.approx(1 / counts[3])
    assert balanced[1]["ci_low"] > balanced[0]["ci_high"]


def test_token_probes_see_more_in_real_scenes_than_chance(rows):
    found = rows(
        "eurosat_recut",
        protocols=protocols("knn", "efficient", "attentive"),
        efficient=QUICK,
        attentive=QUICK,
        probe_seeds=2,
    )
    for (protocol, _), row in found.items():
        assert row["ci_low"] > 0.15, protocol
        assert row["n_seeds"] == (1 if protocol == "knn" else 2)
