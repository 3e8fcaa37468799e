"""Evaluate: frozen encoder in, scores with intervals out.

`EVALUATORS` is the whole list of protocols; `runner.evaluate` runs a recipe.
"""

from rspipe.evaluate.base import EvalResult, Evaluator, PixelEvaluator
from rspipe.evaluate.classification import (
    KnnClassifier,
    LinearClassifier,
    WhitenedKnnClassifier,
)
from rspipe.evaluate.detection import DenseDetection
from rspipe.evaluate.oriented_detection import OrientedDetection
from rspipe.evaluate.segmentation import LinearSegmentationProbe, UPerNetSegmentation
from rspipe.schema import Task

EVALUATORS: dict[tuple[Task, str], type[Evaluator] | type[PixelEvaluator]] = {
    (evaluator.task, evaluator.protocol): evaluator
    for evaluator in (
        KnnClassifier,
        WhitenedKnnClassifier,
        LinearClassifier,
        LinearSegmentationProbe,
        UPerNetSegmentation,
        DenseDetection,
        OrientedDetection,
    )
}

__all__ = ["EVALUATORS", "EvalResult", "Evaluator", "PixelEvaluator"]
