# SPDX-License-Identifier: Apache-2.0
"""Full fine-tuning: what it learns, what it scores, and how a killed run goes on."""

import dataclasses

import numpy as np
import pytest
import torch

from rspipe.catalog import card_for
from rspipe.evaluate.base import PixelEvaluator, UndefinedScore
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.classification import fine_tuning
from rspipe.evaluate.classification.fine_tuning import FineTuned
from rspipe.evaluate.classification.tuning import training
from rspipe.evaluate.classification.tuning.pictures import SceneSet, for_testing
from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.evaluate.config import Bootstrap, What
from rspipe.evaluate.splits import Fold
from rspipe.models.encoder import EncoderConfig
from tests.evaluate.native_sets import write_scenes

CPU = torch.device("cpu")
PLAIN = {"augment": False, "mixup": 0, "cutmix": 0, "smoothing": 0, "drop_path": 0}


def what(**said):
    quick = {"img_px": None, "epochs": 2, "warmup_epochs": 1, "images_per_step": 8, "seeds": 1}
    return What(fine_tune=FineTuning(**{**quick, **said}), bootstrap=Bootstrap(resamples=10))


@pytest.fixture
def benchmark(tmp_path):
    write_scenes(tmp_path / "hues", per_class=4)
    return list_benchmark(tmp_path / "hues", card_for(tmp_path / "hues"), What())


def run(said, benchmark, encoder, work):
    return FineTuned(said, CPU).run_on_pixels(benchmark, encoder, work)


def test_eight_images_are_learned_by_heart(benchmark, tiny_encoder, tmp_path):
    eight = benchmark.folds[0].train[:8]
    rng = np.random.default_rng(0)
    # Labels that no colour gives away: they must be learned image by image.
    records = list(benchmark.records)
    for i, label in zip(eight, rng.permutation(["red", "green", "blue", "red"] * 2), strict=True):
        said = records[i].annotation.model_copy(update={"label": str(label)})
        records[i] = records[i].model_copy(update={"annotation": said})
    folds = (Fold(eight, eight),)
    by_heart = dataclasses.replace(benchmark, records=tuple(records), folds=folds)
    before = {k: v.clone() for k, v in tiny_encoder.state_dict().items()}
    said = what(**PLAIN, epochs=80, warmup_epochs=5, base_lr=0.1, layer_decay=1.0)
    scores = run(said, by_heart, tiny_encoder, tmp_path / "work")
    assert scores.value == 1.0
    assert (scores.arrays["confidence"] > 0.9).all()
    assert scores.extra["final_loss"][0][0] < 0.05
    # The encoder that was handed in is left as it was.
    for name, tensor in tiny_encoder.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_a_killed_training_ends_at_the_same_answer(benchmark, tiny_encoder, tmp_path, monkeypatch):
    said = what(epochs=9, drop_path=0.5, base_lr=0.05, seeds=2)
    ends = []
    predict, step = fine_tuning.predict, training._step
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 3)

    def noted(model, *rest):
        ends.append({k: v.clone() for k, v in model.state_dict().items()})
        return predict(model, *rest)

    monkeypatch.setattr(fine_tuning, "predict", noted)
    straight = run(said, benchmark, tiny_encoder, tmp_path / "straight")
    made = []

    def killed(*args):
        made.append(0)
        if len(made) == 9 + 5:  # in the second seed, two steps behind its checkpoint
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(said, benchmark, tiny_encoder, tmp_path / "killed")
    resumed = run(said, benchmark, tiny_encoder, tmp_path / "killed")
    # 9 of the first seed, 4 and the one that was killed, 6 from the checkpoint on.
    assert len(made) == 9 + 5 + 6
    np.testing.assert_array_equal(resumed.arrays["predicted"], straight.arrays["predicted"])
    assert resumed.extra == straight.extra
    for name, tensor in ends[1].items():
        torch.testing.assert_close(ends[-1][name], tensor, rtol=0, atol=0)
    assert any((ends[0][name] != tensor).any() for name, tensor in ends[1].items())
    assert list((tmp_path / "killed").iterdir()) == []


def test_only_the_weights_behind_the_last_step_are_scored(
    benchmark, tiny_encoder, tmp_path, monkeypatch
):
    events = []
    predict, step = fine_tuning.predict, training._step

    def stepped(model, *rest):
        events.append("step")
        return step(model, *rest)

    def predicted(model, scenes, positions, *rest):
        assert positions.tolist() == benchmark.folds[0].test.tolist()
        assert not model.training
        events.append("predict")
        return predict(model, scenes, positions, *rest)

    monkeypatch.setattr(training, "_step", stepped)
    monkeypatch.setattr(fine_tuning, "predict", predicted)
    scores = run(what(epochs=3, seeds=2), benchmark, tiny_encoder, tmp_path / "work")
    # 12 images make one whole step of 8 an epoch.
    assert events == [*["step"] * 3, "predict"] * 2
    assert scores.extra["plan"]["steps"] == 3


def test_seeds_are_averaged_and_their_spread_stands_apart(benchmark, tiny_encoder, tmp_path):
    scores = run(what(base_lr=0.02, seeds=3), benchmark, tiny_encoder, tmp_path / "work")
    by_seed = scores.extra["by_seed"]
    assert len(by_seed) == scores.columns["n_seeds"] == 3
    assert scores.value == pytest.approx(np.mean(by_seed))
    assert scores.columns["seed_std"] == pytest.approx(np.std(by_seed, ddof=1), abs=1e-5)
    assert scores.arrays["predicted"].shape == (3, 12)


def test_a_validation_split_trains_too(benchmark, tiny_encoder, tmp_path):
    fold = benchmark.folds[0]
    parts = dataclasses.replace(fold, train=fold.train[:6], validation=fold.train[6:])
    scores = run(
        what(), dataclasses.replace(benchmark, folds=(parts,)), tiny_encoder, tmp_path / "work"
    )
    assert scores.extra["plan"]["n_images"] == scores.columns["n_train"] == 12


def test_unreadable_images_are_noted_and_neither_train_nor_count(benchmark, tiny_encoder, tmp_path):
    fold = benchmark.folds[0]
    broken = {benchmark.records[i].source_path for i in (fold.train[0], fold.test[0])}
    for path in broken:
        (tmp_path / "hues" / path).write_bytes(b"no image")
    scores = run(what(images_per_step=12), benchmark, tiny_encoder, tmp_path / "work")
    assert set(scores.unreadable) == broken
    assert len(scores.arrays["truth"]) == 11
    assert not broken & set(scores.arrays["paths"])
    for record in benchmark.records:
        (tmp_path / "hues" / record.source_path).write_bytes(b"no image")
    with pytest.raises(UndefinedScore, match="no train image"):
        run(what(), benchmark, tiny_encoder, tmp_path / "other")


def test_it_is_a_protocol_that_says_its_convention_and_the_published_recipe():
    evaluator = FineTuned(What(), CPU)
    assert isinstance(evaluator, PixelEvaluator)
    assert "after the last epoch" in evaluator.convention
    assert "mean of 3 seeds" in evaluator.convention
    said = evaluator.settings
    assert (said.img_px, said.epochs, said.warmup_epochs) == (224, 100, 5)
    assert (said.weight_decay, said.layer_decay, said.drop_path) == (0.05, 0.75, 0.1)
    assert (said.mixup, said.cutmix, said.smoothing, said.erase) == (0.8, 1.0, 0.1, 0.25)
    assert said.rand_augment == "rand-m9-mstd0.5-inc1"


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_whole_whoever_makes_their_parts(workers, benchmark, monkeypatch):
    scenes = SceneSet(benchmark, for_testing(EncoderConfig(img_px=32)))
    asked = [[(i, ()) for i in range(start, min(start + 7, 18))] for start in range(0, 18, 7)]
    monkeypatch.setattr(training, "_PART", 3)
    monkeypatch.setattr(training, "_workers", lambda device: workers)
    made = list(training.load(scenes, asked, CPU, {}))
    assert [batch.positions for batch in made] == [[i for i, _ in batch] for batch in asked]
    for batch in made:
        wanted = torch.stack([scenes[i, ()].pixels for i in batch.positions])
        torch.testing.assert_close(batch.pixels, wanted, rtol=0, atol=0)
