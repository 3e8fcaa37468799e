# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from rspipe.catalog import card_for
from rspipe.evaluate.base import N_EXAMPLES
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.classification.label_curves import FewShotCurve
from rspipe.evaluate.classification.probes import PROBES
from rspipe.evaluate.classification.probing import Classification, Scenes, score
from rspipe.evaluate.config import Bootstrap, EfficientProbing, FewShot, Knn, LinearProbing, What
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.frozen.token_extraction import TokenCache, extract_tokens
from rspipe.evaluate.frozen.tokens import FrozenTokens
from tests.evaluate.native_sets import write_scenes

CPU = torch.device("cpu")
QUICK = {"epochs": 1, "min_steps": 100, "lr_grid": (8.0,)}
WHAT = What(
    bootstrap=Bootstrap(resamples=20),
    knn=Knn(k=3, also_k=(1,)),
    linear=LinearProbing(**QUICK),
    efficient=EfficientProbing(queries=4, **QUICK),
    few_shot=FewShot(shots=(4, 1), draws=3),
)


def extracted(folder, encoder, what=WHAT):
    benchmark = list_benchmark(folder, card_for(folder), what)
    cache = TokenCache(folder.parent / "features", "float32", 16, CPU)
    found = extract_tokens(benchmark, {"a": Judged(encoder, "0a")}, frozenset({"a"}), cache)
    return found.benchmark, found.features["a"]


@pytest.fixture
def hues(tmp_path, tiny_encoder):
    write_scenes(tmp_path / "hues")
    return extracted(tmp_path / "hues", tiny_encoder)


def run(name, found, what=WHAT):
    return Classification(PROBES[name], what, CPU).run(*found)


def test_scores_are_those_of_scikit_learn_and_means_over_seeds():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 90)
    predicted = np.where(rng.random((4, 90)) < 0.6, truth, rng.integers(0, 3, (4, 90)))
    features = FrozenTokens(np.zeros((90, 1, 1)), ("whole",))
    scenes = Scenes(features, truth, tuple(map(str, range(90))), ("a", "b", "c"))
    found = score(scenes, np.arange(90), predicted, WHAT)
    each = [accuracy_score(truth, one) for one in predicted]
    assert found.value == pytest.approx(np.mean(each))
    assert found.columns == {
        "n_seeds": 4,
        "seed_std": pytest.approx(np.std(each, ddof=1), abs=1e-6),
    }
    balanced = np.mean([balanced_accuracy_score(truth, one) for one in predicted])
    assert found.extra["AA"]["value"] == pytest.approx(balanced)
    macro = np.mean([f1_score(truth, one, average="macro") for one in predicted])
    assert found.extra["macro_f1"]["value"] == pytest.approx(macro)
    assert np.mean(list(found.per_class.values())) == pytest.approx(balanced)
    counts = found.arrays["confusion"]
    assert counts.sum() == 4 * 90
    assert np.trace(counts) / counts.sum() == pytest.approx(found.value)


def test_interval_is_of_images_and_does_not_shrink_with_seeds():
    rng = np.random.default_rng(0)
    truth = np.zeros(200, dtype=int)
    predicted = (rng.random(200) < 0.3).astype(int)
    features = FrozenTokens(np.zeros((200, 1, 1)), ("whole",))
    scenes = Scenes(features, truth, tuple(map(str, range(200))), ("a", "b"))
    what = What(bootstrap=Bootstrap(resamples=200))
    once, often = (score(scenes, np.arange(200), np.stack([predicted] * n), what) for n in (1, 5))
    assert (once.ci_low, once.ci_high) == pytest.approx((often.ci_low, often.ci_high))
    assert (once.columns["seed_std"], often.columns["seed_std"]) == (None, 0.0)


def test_what_is_kept_gives_the_score_again_for_any_part_of_the_images(hues):
    found = run("knn", hues)
    arrays = found.arrays
    hits = arrays["truth"] == arrays["predicted"]
    assert hits.mean() == pytest.approx(found.value)
    tested = [hues[0].records[i].source_path for i in hues[0].tested]
    assert arrays["paths"].tolist() == tested


def test_confidence_is_of_every_test_image_and_says_what_it_is(hues):
    for found in (run("linear", hues), FewShotCurve(WHAT, CPU).run(*hues)):
        assert found.arrays["confidence"].shape == found.arrays["paths"].shape
        assert (found.arrays["confidence"] > 1 / 3).all()
        assert found.extra["confidence"].startswith("softmax probability of the named class")
    assert not {"confidence"} & {*run("majority", hues).arrays, *run("majority", hues).extra}


def test_probe_that_draws_is_repeated_and_one_that_does_not_is_not(hues):
    assert run("linear", hues).columns["n_seeds"] == 3
    assert run("logistic", hues).columns == {"n_seeds": 1, "seed_std": None}
    assert "mean of 3 seeds" in Classification(PROBES["linear"], WHAT, CPU).convention


def test_each_probe_names_hues(hues):
    for name in ("knn", "logistic", "linear", "efficient"):
        assert run(name, hues).value > 0.6, name
    assert run("majority", hues).value == pytest.approx(1 / 3)


def test_other_neighbours_are_scored_beside(hues):
    assert set(run("knn", hues).extra["variants"]) >= {"k=1, T=0.07", "k=3, T=0.1"}


def test_attention_maps_are_of_the_examples(hues):
    found = run("efficient", hues)
    maps = found.arrays["attention"].astype(np.float32)
    assert maps.shape == (N_EXAMPLES, 4, 4, 4) == (len(found.examples), 4, 4, 4)
    np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1, atol=2e-3)


def test_settings_are_chosen_by_the_publishers_validation_split(tmp_path, tiny_encoder):
    write_scenes(tmp_path / "hues", splits=("train", "val", "test"))
    benchmark, features = extracted(tmp_path / "hues", tiny_encoder)
    seen = {}

    class Spy(PROBES["majority"]):
        def fit(self, train, validation, seeds):
            splits = [
                {benchmark.records[i].split for i in part.images.ids}
                for part in (train, validation)
            ]
            seen.update(train=splits[0], validation=splits[1])
            return super().fit(train, validation, seeds)

    Classification(Spy, WHAT, CPU).run(benchmark, features)
    assert seen == {"train": {"train"}, "validation": {"val"}}


def test_without_one_a_share_of_each_class_of_the_train_part_is_held_out(hues):
    benchmark, features = hues
    scenes = Scenes.of(benchmark, features)
    train, held = scenes.part(benchmark.folds[0].train, share=0.25, seed=0)
    assert sorted([*train, *held]) == benchmark.folds[0].train.tolist()
    assert np.bincount(scenes.labels[held]).tolist() == [2, 2, 2]
    other = scenes.part(benchmark.folds[0].train, share=0.25, seed=1)[1]
    assert held.tolist() != other.tolist()


def test_train_part_of_one_class_gives_that_class(tmp_path, tiny_encoder):
    write_scenes(tmp_path / "hues")
    for name in ("red", "blue"):
        for path in (tmp_path / "hues" / "train" / name).iterdir():
            path.unlink()
    found = extracted(tmp_path / "hues", tiny_encoder)
    for name in ("logistic", "linear"):
        scores = run(name, found)
        assert scores.per_class["green"] == 1
        assert "one class" in scores.extra["folds"][0][0]["note"]


def test_folds_are_scored_together(tmp_path, tiny_encoder):
    write_scenes(tmp_path / "hues", splits=())
    what = WHAT.model_copy(update={"folds": 4})
    found = run("efficient", extracted(tmp_path / "hues", tiny_encoder, what), what)
    assert found.arrays["predicted"].shape == (3, 24)
    assert len(found.extra["folds"]) == 4
    assert len(found.arrays["attention"]) == len(found.examples)


def test_few_shot_curve_has_a_point_per_number_and_its_last_is_the_score(hues):
    found = FewShotCurve(WHAT, CPU).run(*hues)
    curve = found.extra["curve"]
    assert [(point["size"], point["n_train"], point["n_seeds"]) for point in curve] == [
        (1, 3, 3),
        (4, 12, 3),
    ]
    assert curve[-1]["value"] == found.value
    assert found.columns["seed_std"] == curve[-1]["seed_std"]
    assert found.columns["n_train"] == 12
