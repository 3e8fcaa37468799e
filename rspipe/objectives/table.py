"""The one list of methods: a new one is a file beside this and a line in each table."""

from typing import Annotated

from pydantic import Field

from rspipe.objectives.base import Objective
from rspipe.objectives.cross_mae import CrossMAE, CrossMAEConfig
from rspipe.objectives.dmjd import DMJD, DMJDConfig
from rspipe.objectives.mae import MAE, MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAE, SelectiveMAEConfig
from rspipe.objectives.simmim import SimMIM, SimMIMConfig

OBJECTIVES: dict[str, type[Objective]] = {
    cls.name: cls for cls in (MAE, CrossMAE, SelectiveMAE, SimMIM, DMJD)
}

# What may stand under `base` of a wrapper; one member per line of the table.
MethodConfig = Annotated[
    MAEConfig | CrossMAEConfig | SelectiveMAEConfig | SimMIMConfig | DMJDConfig,
    Field(discriminator="name"),
]
