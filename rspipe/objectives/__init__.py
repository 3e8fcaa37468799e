# SPDX-License-Identifier: Apache-2.0
"""Pre-training methods: one file per paper, one visible table (table.py), docs/objectives.md."""

from typing import Annotated

from pydantic import Field, SerializeAsAny

from rspipe.models.encoder import EncoderConfig, seeded
from rspipe.objectives.base import Objective, Plan, Reconstruction, Step
from rspipe.objectives.cross_mae import CrossMAE
from rspipe.objectives.dmjd import DMJD
from rspipe.objectives.draws import Draws
from rspipe.objectives.mae import MAE
from rspipe.objectives.region_masking import RegionMaskingConfig, mask_by_region
from rspipe.objectives.selective_mae import SelectiveMAE
from rspipe.objectives.simmim import SimMIM
from rspipe.objectives.table import OBJECTIVES, OTHERS_TOO, BuiltInConfig, objective_class

# What a recipe may hold under `what.objective`: a method, or a method in a wrapper.
ObjectiveConfig = SerializeAsAny[
    Annotated[BuiltInConfig | RegionMaskingConfig, Field(discriminator="name"), OTHERS_TOO]
]

__all__ = [
    "DMJD",
    "MAE",
    "OBJECTIVES",
    "CrossMAE",
    "Draws",
    "Objective",
    "ObjectiveConfig",
    "Plan",
    "Reconstruction",
    "SelectiveMAE",
    "SimMIM",
    "Step",
    "build",
]


def build(objective: ObjectiveConfig, encoder: EncoderConfig, seed: int) -> Objective:
    """Make an objective with weights that are a function of the seed.

    Raises:
        RecipeError: the ratios leave no patch to see or to predict.
        PluginError: a method of another package cannot be used.
    """
    if isinstance(objective, RegionMaskingConfig):
        return mask_by_region(build(objective.base, encoder, seed), objective)
    with seeded(seed):
        return objective_class(objective.name)(objective, encoder)  # type: ignore[arg-type]
