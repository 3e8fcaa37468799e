# SPDX-License-Identifier: Apache-2.0
"""Evaluate: frozen encoder in, scores with intervals out.

`EVALUATORS` is the whole list of protocols; `runner.evaluate` runs a recipe.
"""

from collections.abc import Callable
from functools import partial

import torch

from rspipe.evaluate.base import (
    EncodingEvaluator,
    EvalResult,
    Evaluator,
    FloorEvaluator,
    PixelEvaluator,
)
from rspipe.evaluate.blob_detection import BlobDetection, OrientedBlobDetection
from rspipe.evaluate.classification import Classification
from rspipe.evaluate.config import What
from rspipe.evaluate.detection import DenseDetection
from rspipe.evaluate.fine_tuning import FineTuned
from rspipe.evaluate.horizontal_detection import FasterRCNNDetection, PlainDETRDetection
from rspipe.evaluate.label_curves import FewShotCurve, LabelShareCurve
from rspipe.evaluate.oriented_detection import OrientedDetection
from rspipe.evaluate.probes import PROBES
from rspipe.evaluate.segmentation import LinearSegmentationProbe, UPerNetSegmentation
from rspipe.schema import Task

AnyEvaluator = Evaluator | PixelEvaluator | FloorEvaluator | EncodingEvaluator

EVALUATORS: dict[tuple[Task, str], Callable[[What, torch.device], AnyEvaluator]] = {
    **{("classification", name): partial(Classification, probe) for name, probe in PROBES.items()},
    **{
        (evaluator.task, evaluator.protocol): evaluator
        for evaluator in (
            FewShotCurve,
            LabelShareCurve,
            FineTuned,
            LinearSegmentationProbe,
            UPerNetSegmentation,
            DenseDetection,
            BlobDetection,
            OrientedBlobDetection,
            FasterRCNNDetection,
            PlainDETRDetection,
            OrientedDetection,
        )
    },
}

__all__ = [
    "EVALUATORS",
    "AnyEvaluator",
    "EvalResult",
    "Evaluator",
    "FloorEvaluator",
    "PixelEvaluator",
]
