# SPDX-License-Identifier: Apache-2.0
"""Which runs a comparison needs: one pre-training recipe each, at equal compute."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rspipe.compare.config import CompareRecipe
from rspipe.corpus.reader import Corpus
from rspipe.errors import RecipeError
from rspipe.objectives import build
from rspipe.recipe import laid_over, read_recipe, validate
from rspipe.train.config import PretrainRecipe
from rspipe.train.hardware import resolve_device, resolve_precision
from rspipe.train.run_folder import run_fingerprint

# Backward passes cost twice the forward's products: one for the inputs, one for the weights.
TRAINING_MACS_PER_FORWARD_MAC = 3

_LINES = 200  # of metrics in a run


@dataclass(frozen=True)
class PlannedRun:
    """One run of a comparison."""

    variant: str
    recipe: PretrainRecipe
    macs_per_image: int
    """Forward."""

    @property
    def folder(self) -> Path:
        """Where it goes."""
        return Path(str(self.recipe.out))

    @property
    def training_macs(self) -> int:
        """What the whole run costs."""
        return self.step_macs * self.recipe.what.steps

    @property
    def step_macs(self) -> int:
        """What a step costs."""
        per_image = TRAINING_MACS_PER_FORWARD_MAC * self.macs_per_image
        return per_image * self.recipe.what.images_per_step


class Planner:
    """Turns variants into runs.

    Args:
        recipe: of the comparison.

    Raises:
        RecipeError: the base or a variant is no valid pre-training recipe.
        CorpusError: there is no finished corpus.
    """

    def __init__(self, recipe: CompareRecipe) -> None:
        self.recipe = recipe
        self._base = read_recipe(Path(recipe.base))
        if not isinstance(self._base.get("what"), dict):
            raise RecipeError(f"{recipe.base}: no section `what`; want a pre-training recipe")
        anywhere = self._recipe_of(next(iter(recipe.variants)), {})
        self.base_corpus = anywhere.corpus
        self.corpus_fingerprint = Corpus.open(anywhere.corpus).fingerprint
        self._macs = {name: self._count_macs(name) for name in recipe.variants}

    def trial(self, variant: str, steps: int) -> PlannedRun:
        """Plan a run that only tells how fast a variant is."""
        return self._plan(variant, "trial", {"steps": steps, "seed": self.recipe.seeds[0]})

    def candidate(self, variant: str, base_lr: float, seconds_per_step: float | None) -> PlannedRun:
        """Plan a run of the sweep."""
        sweep = self.recipe.sweep
        if sweep is None:
            raise RecipeError(f"{self.recipe.name}: no sweep")
        steps = self._steps(variant, sweep.budget_share, seconds_per_step)
        settings = {"steps": steps, "seed": sweep.seed, "base_lr": base_lr}
        return self._plan(variant, f"lr{base_lr:g}", settings)

    def final(
        self, variant: str, seed: int, base_lr: float | None, seconds_per_step: float | None
    ) -> PlannedRun:
        """Plan a run that is reported; without a rate the variant keeps its own."""
        settings: dict[str, Any] = {
            "steps": self._steps(variant, 1.0, seconds_per_step),
            "seed": seed,
        }
        if base_lr is not None:
            settings["base_lr"] = base_lr
        return self._plan(variant, f"s{seed}", settings)

    def _steps(self, variant: str, share: float, seconds_per_step: float | None) -> int:
        budget = self.recipe.budget
        if budget.macs is not None:
            per_image = TRAINING_MACS_PER_FORWARD_MAC * self._macs[variant]
            images = self._recipe_of(variant, {}).what.images_per_step
            return max(1, round(share * budget.macs / (per_image * images)))
        if budget.seconds is None or seconds_per_step is None:
            raise RecipeError(f"{self.recipe.name}: a budget in seconds needs a trial of {variant}")
        return max(1, round(share * budget.seconds / seconds_per_step))

    def _plan(self, variant: str, label: str, settings: dict[str, Any]) -> PlannedRun:
        recipe = self._recipe_of(variant, settings)
        # A folder of its own for other settings: nothing is overwritten, nothing is mixed.
        mark = run_fingerprint(recipe.what, self.corpus_fingerprint)[:8]
        name = f"{variant}-{label}-{mark}"
        folder = Path(self.recipe.out_folder) / "runs" / name
        recipe = recipe.model_copy(update={"name": name, "out": str(folder)})
        return PlannedRun(variant, recipe, self._macs[variant])

    def _recipe_of(self, variant: str, settings: dict[str, Any]) -> PretrainRecipe:
        how = self.recipe.how
        what = laid_over(self._base["what"], self.recipe.variants[variant].what) | settings
        steps = settings.get("steps", 1)
        data = {
            **self._base,
            "what": what | {"steps": steps},
            "how": {
                **(self._base.get("how") or {}),
                "device": how.device,
                "torch_threads": how.torch_threads,
                "log_every_steps": max(1, steps // _LINES),
                "pictures_every_steps": steps,
                "checkpoint_every_steps": max(1, steps // 4),
                "keep_checkpoints": 1,
            },
        }
        origin = f"{self.recipe.base} with variant {variant!r}"
        found = validate(data, PretrainRecipe, origin)
        precision = resolve_precision(found.what.precision, resolve_device(how.device))
        settled = found.what.model_copy(update={"precision": precision})
        return found.model_copy(update={"what": settled})

    def _count_macs(self, variant: str) -> int:
        what = self._recipe_of(variant, {}).what
        with torch.device("meta"):
            return build(what.objective, what.encoder, what.seed).macs_per_image()
