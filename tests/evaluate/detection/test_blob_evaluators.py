# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.catalog import card_for
from rspipe.evaluate.base import Evaluator, FloorEvaluator, PixelEvaluator, UndefinedScore
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import Blobs, Bootstrap, What
from rspipe.evaluate.detection.blob_evaluators import BlobDetection, OrientedBlobDetection
from tests.evaluate.native_sets import write_boxes

CPU = torch.device("cpu")
WHAT = What(blobs=Blobs(candidates=100), bootstrap=Bootstrap(resamples=10))
BOTH = pytest.mark.parametrize("protocol", [BlobDetection, OrientedBlobDetection])


@pytest.fixture
def benchmark(tmp_path):
    write_boxes(tmp_path / "lamps", count=4)
    return list_benchmark(tmp_path / "lamps", card_for(tmp_path / "lamps"), What())


@BOTH
def test_bright_squares_of_one_size_are_found(protocol, benchmark):
    scores = protocol(WHAT, CPU).run_without_encoder(benchmark)
    assert scores.value > 0.9
    assert scores.extra["n_objects"] == 4
    first = scores.examples[0]
    assert first["found"][0]["box"] == pytest.approx(first["truth"][0]["box"], abs=3)


@BOTH
def test_unreadable_images_are_noted_and_neither_train_nor_count(protocol, benchmark, tmp_path):
    fold = benchmark.folds[0]
    broken = {benchmark.records[i].source_path for i in (fold.train[0], fold.test[0])}
    for path in broken:
        (tmp_path / "lamps" / path).write_bytes(b"no image")
    scores = protocol(WHAT, CPU).run_without_encoder(benchmark)
    assert set(scores.unreadable) == broken
    assert scores.extra["n_objects"] == 3
    assert np.isfinite(scores.value)


def test_no_readable_training_image_is_no_score(benchmark, tmp_path):
    for position in benchmark.folds[0].train:
        (tmp_path / "lamps" / benchmark.records[position].source_path).write_bytes(b"no image")
    with pytest.raises(UndefinedScore, match="no train image"):
        BlobDetection(WHAT, CPU).run_without_encoder(benchmark)


@BOTH
def test_it_is_a_protocol_that_asks_no_encoder(protocol):
    evaluator = protocol(WHAT, CPU)
    assert isinstance(evaluator, FloorEvaluator)
    assert not isinstance(evaluator, Evaluator | PixelEvaluator)
