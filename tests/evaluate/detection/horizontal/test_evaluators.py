# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
import torch

from rspipe.catalog import card_for
from rspipe.errors import RspipeError
from rspipe.evaluate.base import PixelEvaluator
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import Bootstrap, What
from rspipe.evaluate.detection.horizontal.evaluators import FasterRCNNDetection, PlainDETRDetection
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNTuning, PlainDETRTuning
from rspipe.evaluate.detection.tuning import training
from rspipe.evaluate.splits import Fold
from tests.evaluate.detection.horizontal.small import SMALL, SMALL_DETR
from tests.evaluate.native_sets import write_boxes

CPU = torch.device("cpu")
QUICK = {
    "img_px": 64,
    "images_per_step": 4,
    "warmup_steps": 5,
    "layer_decay": 1.0,
    "drop_path": 0.0,
    "flip_share": 0.0,
    "most_norm": 5.0,
}


def faster_rcnn(**said):
    tuning = FasterRCNNTuning(**{**QUICK, "lr": 3e-3, "detector": SMALL, **said})
    return FasterRCNNDetection(What(faster_rcnn=tuning, bootstrap=Bootstrap(resamples=10)), CPU)


def plain_detr(**said):
    tuning = PlainDETRTuning(**{**QUICK, "lr": 3e-3, "detector": SMALL_DETR, **said})
    return PlainDETRDetection(What(plain_detr=tuning, bootstrap=Bootstrap(resamples=10)), CPU)


@pytest.fixture
def benchmark(tmp_path):
    write_boxes(tmp_path / "lamps", count=4)
    return list_benchmark(tmp_path / "lamps", card_for(tmp_path / "lamps"), What())


def by_heart(benchmark):
    train = benchmark.folds[0].train
    return dataclasses.replace(benchmark, folds=(Fold(train, train),))


@pytest.mark.parametrize("evaluator", [faster_rcnn(epochs=80), plain_detr(epochs=120)])
def test_few_images_are_learned_by_heart(evaluator, benchmark, tiny_encoder, tmp_path):
    scores = evaluator.run_on_pixels(by_heart(benchmark), tiny_encoder, tmp_path)
    assert scores.value > 0.9
    assert scores.extra["n_objects"] == 4
    assert set(scores.extra) >= {"AP_coco", "AP75_coco", "n_detections"}
    # Boxes come back in pixels of the image: 64 x 32, scaled into 64.
    first = scores.examples[0]
    record = next(one for one in benchmark.records if one.source_path == first["path"])
    (true,) = record.annotation.boxes
    assert first["truth"] == [{"label": "lamp", "box": [true.x0, true.y0, true.x1, true.y1]}]
    assert first["found"][0]["box"] == pytest.approx(first["truth"][0]["box"], abs=3)


@pytest.mark.parametrize("evaluator", [faster_rcnn(epochs=1), plain_detr(epochs=1)])
def test_unreadable_images_are_noted_and_do_not_count(evaluator, benchmark, tiny_encoder, tmp_path):
    path = benchmark.records[int(benchmark.folds[0].test[0])].source_path
    (tmp_path / "lamps" / path).write_bytes(b"no image")
    scores = evaluator.run_on_pixels(benchmark, tiny_encoder, tmp_path)
    assert set(scores.unreadable) == {path}
    assert scores.extra["n_objects"] == 3


@pytest.mark.real_data
@pytest.mark.parametrize(
    "evaluator", [faster_rcnn(epochs=80, img_px=128), plain_detr(epochs=80, img_px=128)]
)
def test_thermal_pictures_of_cars_are_learned_by_heart(
    evaluator, real_data, tiny_encoder, tmp_path, monkeypatch
):
    """Four pictures of HIT-UAV with sixteen cars, at a fifth of their size."""
    root = real_data / "hit_uav"
    options = {"images": "rotate_xml", "boxes": "horizontal"}
    card = card_for(root).model_copy(update={"options": options})
    benchmark = list_benchmark(root, card, What())
    train = benchmark.folds[0].train.tolist()
    large = np.array(sorted(train, key=lambda i: -_least_side(benchmark.records[i]))[:4])
    few = dataclasses.replace(benchmark, folds=(Fold(large, large),))
    losses, step = [], training._step
    monkeypatch.setattr(training, "_step", lambda *a: losses.append(step(*a)) or losses[-1])
    scores = evaluator.run_on_pixels(few, tiny_encoder, tmp_path)
    assert scores.extra["n_objects"] == 16
    assert scores.value >= 0.9
    assert scores.per_class["Person"] is None
    assert np.mean(losses[-5:]) < losses[0] / 2


def _least_side(record):
    boxes = record.annotation.boxes
    return min([min(b.x1 - b.x0, b.y1 - b.y0) for b in boxes], default=0)


def test_it_says_its_convention_and_its_dials_are_the_protocol_s():
    evaluator = FasterRCNNDetection(What(), CPU)
    assert isinstance(evaluator, PixelEvaluator)
    assert "101 recalls" in evaluator.convention
    assert "not VOC07" in evaluator.convention
    settings = evaluator.settings
    assert (settings.img_px, settings.epochs, settings.images_per_step) == (800, 12, 4)
    assert (settings.lr, settings.weight_decay, settings.warmup_steps) == (1e-4, 0.05, 500)
    assert settings.drops == (8 / 12, 11 / 12)
    assert (settings.layer_decay, settings.drop_path, settings.flip_share) == (0.9, 0.1, 0.5)
    assert settings.most_norm is None


def test_plain_detr_s_dials_are_the_paper_s():
    evaluator = PlainDETRDetection(What(), CPU)
    assert isinstance(evaluator, PixelEvaluator)
    settings = evaluator.settings
    assert (settings.lr, settings.most_norm, settings.warmup_steps) == (2e-4, 0.1, 1000)
    assert (settings.images_per_step, settings.epochs, settings.drops) == (16, 12, (11 / 12,))
    assert (settings.layer_decay, settings.drop_path, settings.weight_decay) == (0.9, 0.1, 0.05)


@pytest.mark.parametrize(
    "evaluator", [faster_rcnn(epochs=4, lr=1e30), plain_detr(epochs=4, lr=1e30)]
)
def test_a_training_that_bursts_says_so(evaluator, benchmark, tiny_encoder, tmp_path):
    with pytest.raises(RspipeError, match=r"loss nan in step \d+; lower lr"):
        evaluator.run_on_pixels(benchmark, tiny_encoder, tmp_path)


@pytest.mark.parametrize("evaluator", [faster_rcnn(epochs=2), plain_detr(epochs=2)])
def test_scores_are_a_function_of_the_seed(evaluator, benchmark, tiny_encoder, tmp_path):
    first, again = (
        evaluator.run_on_pixels(benchmark, tiny_encoder, tmp_path).examples for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize("evaluator", [faster_rcnn(epochs=1), plain_detr(epochs=1)])
def test_an_image_without_objects_trains_and_counts(evaluator, benchmark, tiny_encoder, tmp_path):
    records = list(benchmark.records)
    (fold,) = benchmark.folds
    for part in (fold.train, fold.test):
        bare = records[int(part[0])]
        annotation = bare.annotation.model_copy(update={"boxes": ()})
        records[int(part[0])] = bare.model_copy(update={"annotation": annotation})
    benchmark = dataclasses.replace(benchmark, records=tuple(records))
    scores = evaluator.run_on_pixels(benchmark, tiny_encoder, tmp_path)
    assert scores.extra["n_objects"] == 3
    assert np.isfinite(scores.value)
