"""Pre-training methods: one file per paper, one visible table."""

from typing import Annotated

from pydantic import Field

from rspipe.models.encoder import EncoderConfig, seeded
from rspipe.objectives.base import Objective, Plan, Reconstruction, Step
from rspipe.objectives.cross_mae import CrossMAE, CrossMAEConfig
from rspipe.objectives.dmjd import DMJD, DMJDConfig
from rspipe.objectives.draws import Draws
from rspipe.objectives.mae import MAE, MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAE, SelectiveMAEConfig
from rspipe.objectives.simmim import SimMIM, SimMIMConfig

OBJECTIVES: dict[str, type[Objective]] = {
    cls.name: cls for cls in (MAE, CrossMAE, SelectiveMAE, SimMIM, DMJD)
}

# What a recipe may hold under `what.objective`; one member per line of the table.
ObjectiveConfig = Annotated[
    MAEConfig | CrossMAEConfig | SelectiveMAEConfig | SimMIMConfig | DMJDConfig,
    Field(discriminator="name"),
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
    """
    with seeded(seed):
        return OBJECTIVES[objective.name](objective, encoder)  # type: ignore[arg-type]
