# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
import torch

from rspipe.catalog import card_for
from rspipe.evaluate.base import PixelEvaluator, UndefinedScore
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import Bootstrap, What
from rspipe.evaluate.detection.boxes.corners import smallest_rectangles, to_corners
from rspipe.evaluate.detection.oriented.evaluator import OrientedDetection
from rspipe.evaluate.detection.oriented.settings import OrientedTuning
from rspipe.evaluate.splits import Fold
from tests.evaluate.detection.oriented.scenes import scenes
from tests.evaluate.detection.oriented.small import SMALL
from tests.evaluate.native_sets import write_card, write_image

CPU = torch.device("cpu")
CLASSES = ["bar", "block"]


def write_dota(folder, count=4):
    """DOTA: images and labelTxt by split, corners as text."""
    write_card(folder, task="detection", layout="dota", classes=CLASSES)
    for seed, split in enumerate(("train", "test")):
        images, truth = scenes(count, seed=seed)
        labels = folder / split / "labelTxt"
        labels.mkdir(parents=True)
        for i, (image, objects) in enumerate(zip(images, truth, strict=True)):
            pixels = ((image * 40) + 128).clamp(0, 255).permute(1, 2, 0).numpy()
            write_image(folder / split / "images" / f"{split}{i}.png", pixels)
            rows = [
                " ".join(f"{v:.2f}" for v in corners.flatten().tolist()) + f" {CLASSES[label]} 0"
                for corners, label in zip(to_corners(objects.boxes), objects.labels, strict=True)
            ]
            (labels / f"{split}{i}.txt").write_text("\n".join(rows))


def what(**said):
    quick = {
        "img_px": 64,
        "images_per_step": 4,
        "warmup_steps": 5,
        "lr": 3e-3,
        "layer_decay": 1.0,
        "drop_path": 0.0,
        "flip_share": 0.0,
        "detector": SMALL,
        **said,
    }
    return What(oriented_rcnn=OrientedTuning(**quick), bootstrap=Bootstrap(resamples=10))


@pytest.fixture
def benchmark(tmp_path):
    write_dota(tmp_path / "bars")
    return list_benchmark(tmp_path / "bars", card_for(tmp_path / "bars"), What())


def by_heart(benchmark):
    train = benchmark.folds[0].train
    return dataclasses.replace(benchmark, folds=(Fold(train, train),))


def test_few_images_are_learned_by_heart(benchmark, tiny_encoder, tmp_path):
    evaluator = OrientedDetection(what(epochs=100), CPU)
    scores = evaluator.run_on_pixels(by_heart(benchmark), tiny_encoder, tmp_path / "work")
    assert scores.value > 0.9
    assert scores.extra["n_objects"] == 12
    assert scores.extra["AP50_area"]["value"] > 0.9
    assert "area under the envelope" in scores.extra["conventions"]["AP50_area"]
    first = scores.examples[0]
    assert [one["label"] for one in first["truth"]]
    # Boxes come back in pixels of the image, corners as in the file.
    record = next(one for one in benchmark.records if one.source_path == first["path"])
    corners = torch.tensor([b.corners for b in record.annotation.boxes]).view(-1, 4, 2)
    told = torch.tensor([one["corners"] for one in first["truth"]]).view(-1, 4, 2)
    torch.testing.assert_close(
        smallest_rectangles(told), smallest_rectangles(corners), rtol=0, atol=0.05
    )


def test_unreadable_images_are_noted_and_neither_train_nor_count(benchmark, tiny_encoder, tmp_path):
    fold = benchmark.folds[0]
    broken = {benchmark.records[i].source_path for i in (fold.train[0], fold.test[0])}
    for path in broken:
        (tmp_path / "bars" / path).write_bytes(b"no image")
    scores = OrientedDetection(what(epochs=1), CPU).run_on_pixels(
        benchmark, tiny_encoder, tmp_path / "work"
    )
    assert set(scores.unreadable) == broken
    assert scores.extra["n_objects"] == 9
    assert np.isfinite(scores.value)


def test_no_readable_image_is_no_score(benchmark, tiny_encoder, tmp_path):
    for record in benchmark.records:
        (tmp_path / "bars" / record.source_path).write_bytes(b"no image")
    with pytest.raises(UndefinedScore, match="no train image can be read"):
        OrientedDetection(what(epochs=1), CPU).run_on_pixels(
            benchmark, tiny_encoder, tmp_path / "work"
        )


def test_it_is_a_protocol_that_says_its_convention():
    evaluator = OrientedDetection(What(), CPU)
    assert isinstance(evaluator, PixelEvaluator)
    assert "VOC07" in evaluator.convention
    assert "rotated IoU" in evaluator.convention
    # Steps, sizes and rates of the published recipe.
    settings = evaluator.settings
    assert (settings.img_px, settings.epochs, settings.images_per_step) == (800, 12, 4)
    assert (settings.lr, settings.layer_decay, settings.drop_path) == (1e-4, 0.9, 0.1)
