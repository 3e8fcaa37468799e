# SPDX-License-Identifier: Apache-2.0
"""The recipe of a comparison: variants of one pre-training recipe, a budget, a judge."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from rspipe.evaluate.config import What as EvaluateWhat
from rspipe.recipe import Strict

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Rates = Annotated[tuple[Positive, ...], Field(min_length=1)]


class Budget(Strict):
    """What each run may spend; the number of steps follows from it."""

    macs: Positive | None = None
    """Multiply-accumulates of training: 3 times those of the forward passes."""
    seconds: Positive | None = None
    """Of training on this machine, by a short trial of each variant."""

    @model_validator(mode="after")
    def _is_one(self) -> "Budget":
        if (self.macs is None) == (self.seconds is None):
            raise ValueError("want either macs or seconds")
        return self


class Variant(Strict):
    """One contestant."""

    what: dict[str, Any] = Field(default_factory=dict)
    """Laid over the base's `what`, as `extends` does."""
    base_lrs: Rates | None = None
    """Instead of the sweep's."""


class Sweep(Strict):
    """Choose the learning rate of each variant by shorter runs, on images that no test has."""

    base_lrs: Rates
    budget_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Share of the budget that each of its runs gets."""
    seed: Annotated[int, Field(ge=0)] = 1000
    """Of its runs; not among the seeds that are reported."""
    protocol: str = "logistic"
    """What chooses: the best accuracy on the validation part."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Of the benchmark's train part, class by class; the rest trains the probe."""


class Judge(Strict):
    """What the encoders are judged by."""

    data: str
    """Folder whose subfolders are data sets in their published layouts."""
    benchmark: str
    """Name of one of them."""
    what: EvaluateWhat = EvaluateWhat()
    """As in an evaluation recipe; its baselines are the floors."""
    batch: Count = 64
    """Images per forward pass of the encoder."""


class CompareHow(Strict):
    """What changes only speed; with a budget in seconds, the number of steps, too."""

    device: str = "auto"
    """Overrides the base's, as do the threads."""
    parallel_runs: Count = 1
    """Runs at the same time, each in a process of its own."""
    torch_threads: Count | None = None
    """Of each run, and of judging; null: as torch chooses."""


class CompareRecipe(Strict):
    """A comparison: who, for how much, judged how."""

    name: str
    base: str
    """A pre-training recipe; its steps and its seed are replaced."""
    out: str | None = None
    """Folder of the comparison; null: data/compare/<name>."""
    variants: Annotated[dict[str, Variant], Field(min_length=1)]
    budget: Budget
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 1, 2)
    sweep: Sweep | None = None
    """Null: each variant keeps its `base_lr`."""
    judge: Judge
    reference: str | None = None
    """Variant whose scores the others' are subtracted from, seed by seed."""
    how: CompareHow = CompareHow()

    @model_validator(mode="after")
    def _fits(self) -> "CompareRecipe":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds={self.seeds} name one twice")
        if self.sweep is not None and self.sweep.seed in self.seeds:
            raise ValueError(f"sweep.seed={self.sweep.seed} is also a seed that is reported")
        if self.reference is not None and self.reference not in self.variants:
            raise ValueError(f"reference={self.reference!r} is no variant")
        if any(variant.base_lrs for variant in self.variants.values()) and self.sweep is None:
            raise ValueError("a variant has base_lrs but there is no sweep")
        return self

    @property
    def out_folder(self) -> str:
        """Where everything goes."""
        return self.out if self.out is not None else f"data/compare/{self.name}"
