# SPDX-License-Identifier: Apache-2.0
"""Who is judged by a recipe: the trained encoder, those beside it, and the baselines."""

import torch

from rspipe.errors import RecipeError
from rspipe.evaluate.config import EvalRecipe
from rspipe.evaluate.encoders import (
    ImageStatistics,
    Judged,
    NoEncoder,
    of_memory,
    open_encoder,
)
from rspipe.models.backbone import Backbone
from rspipe.recipe import nearest_name

PRETRAINED = "pretrained"
NO_ENCODER = "none"


def load_encoders(recipe: EvalRecipe, device: torch.device) -> dict[str, Judged]:
    """Load the trained encoder, those beside it, and make the baselines.

    Raises:
        RecipeError: an encoder reads other bands than red, green and blue, or its label is taken.
        WeightsError: an encoder is not whole.
    """
    rules = recipe.what.input
    _refuse_unknown_labels(recipe)
    judged = {PRETRAINED: open_encoder(recipe.encoder, rules.get(PRETRAINED))}
    trained = judged[PRETRAINED].network
    for baseline in recipe.what.baselines:
        if baseline == "random":
            untrained = trained.untrained(recipe.what.seed).eval()
            judged[baseline] = Judged(untrained, of_memory(untrained), source="random weights")
        else:
            judged[baseline] = Judged(ImageStatistics(), ImageStatistics.sha256)
    judged[NO_ENCODER] = Judged(NoEncoder(), NoEncoder.sha256)
    for label, place in recipe.beside.items():
        if label in judged:
            raise RecipeError(f"beside.{label}: the label is taken; choose another")
        judged[label] = open_encoder(place, rules.get(label))
    for one in judged.values():
        if isinstance(one.encoder, Backbone):
            one.encoder.to(device)
    return judged


def _refuse_unknown_labels(recipe: EvalRecipe) -> None:
    known = [PRETRAINED, *recipe.beside]
    for label in recipe.what.input:
        if label not in known:
            raise RecipeError(f"what.input.{label}: no such encoder{nearest_name(label, known)}")
