# SPDX-License-Identifier: Apache-2.0
"""A whole objective read back from a run, decoder and all: to look at what it makes of pictures."""

from dataclasses import dataclass
from pathlib import Path

from rspipe.errors import RunError
from rspipe.objectives import Objective, build
from rspipe.recipe import read_yaml, validate
from rspipe.train.checkpoint import load_checkpoint
from rspipe.train.config import PretrainRecipe
from rspipe.train.run_folder import CHECKPOINTS, RECIPE_FILE


@dataclass(frozen=True)
class Trained:
    """A run as far as its last checkpoint."""

    objective: Objective
    """On the CPU, in evaluation mode. Where the run exports a running average of its encoder,
    this is not that average but the weights that are trained."""
    recipe: PretrainRecipe
    step: int
    """Steps done."""


def load_trained(run: Path) -> Trained:
    """Read the objective of a run, finished or not.

    Args:
        run: folder of `rspipe pretrain`.

    Raises:
        RunError: no run has begun there, it has no checkpoint yet, or that is unreadable.
        RecipeError: its recipe is that of another version of rspipe.
    """
    note = run / RECIPE_FILE
    if not note.is_file():
        raise RunError(f"{run}: no run here; `rspipe pretrain` leaves one in data/runs")
    said = read_yaml(note.read_text())
    plain = {key: said[key] for key in PretrainRecipe.model_fields if key in said}
    recipe = validate(plain, PretrainRecipe, str(note))
    state = load_checkpoint(run / CHECKPOINTS)
    if state is None:
        raise RunError(
            f"{run}: no checkpoint yet; wait for the first, or set a smaller "
            "how.checkpoint_every_steps"
        )
    objective = build(recipe.what.objective, recipe.what.encoder, recipe.what.seed)
    objective.load_state_dict(state["objective"])
    return Trained(objective.eval(), recipe, state["step"])
