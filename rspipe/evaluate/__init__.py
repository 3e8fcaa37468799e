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
from rspipe.evaluate.classification.fine_tuning import FineTuned
from rspipe.evaluate.classification.label_curves import FewShotCurve, LabelShareCurve
from rspipe.evaluate.classification.probes import PROBES
from rspipe.evaluate.classification.probing import Classification
from rspipe.evaluate.config import What
from rspipe.evaluate.detection.blob_evaluators import BlobDetection, OrientedBlobDetection
from rspipe.evaluate.detection.dense_evaluator import DenseDetection
from rspipe.evaluate.detection.horizontal.evaluators import FasterRCNNDetection, PlainDETRDetection
from rspipe.evaluate.detection.oriented.evaluator import OrientedDetection
from rspipe.evaluate.segmentation.evaluators import LinearSegmentationProbe, UPerNetSegmentation
from rspipe.evaluate.segmentation.floor_evaluators import ColourOfPixels, MajorityPixels
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
            MajorityPixels,
            ColourOfPixels,
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
