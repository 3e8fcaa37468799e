# SPDX-License-Identifier: Apache-2.0
"""The one list of methods: a new one is a file beside this and a line in each table.

A method of another package needs no line here: it is found by its entry point (rspipe.plugins).
"""

from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidatorFunctionWrapHandler, WrapValidator

from rspipe.objectives.base import Objective
from rspipe.objectives.cross_mae import CrossMAE, CrossMAEConfig
from rspipe.objectives.dmjd import DMJD, DMJDConfig
from rspipe.objectives.mae import MAE, MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAE, SelectiveMAEConfig
from rspipe.objectives.simmim import SimMIM, SimMIMConfig
from rspipe.plugins import plugins
from rspipe.recipe import nearest_name, validate

OBJECTIVES: dict[str, type[Objective]] = {
    cls.name: cls for cls in (MAE, CrossMAE, SelectiveMAE, SimMIM, DMJD)
}


_WRAPPERS = ("region_masking",)  # its config stands in a union of its own


def objective_class(name: str) -> type[Objective]:
    """Return a method: a built-in one, or one of another package.

    Raises:
        PluginError: one of another package cannot be used.
    """
    return OBJECTIVES[name] if name in OBJECTIVES else _of_others()[name]


def _of_others() -> dict[str, type[Objective]]:
    others = plugins("objectives", tuple(OBJECTIVES))
    return {name: plugin.found for name, plugin in others.items()}


def _read_section(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Let a section be read by the config of another package's method, if it names one."""
    others = _of_others()
    if isinstance(value, tuple(method.Config for method in others.values())):
        return value
    name = value.get("name") if isinstance(value, dict) else None
    if name in others:
        return validate(value, others[name].Config, origin=f"objective {name}")
    known = (*OBJECTIVES, *others, *_WRAPPERS)
    if isinstance(name, str) and name not in known:
        raise ValueError(f"no objective {name!r}{nearest_name(name, known)}")
    return handler(_as_read_from_json(value))


def _as_read_from_json(value: Any) -> Any:
    """Make tuples of lists: a recipe is strict JSON, but what comes through here no longer is."""
    if isinstance(value, dict):
        return {key: _as_read_from_json(each) for key, each in value.items()}
    return tuple(map(_as_read_from_json, value)) if isinstance(value, list) else value


# Goes around a union of configs: those of other packages may stand there, too.
OTHERS_TOO = WrapValidator(_read_section)

# One member per line of the table.
BuiltInConfig = MAEConfig | CrossMAEConfig | SelectiveMAEConfig | SimMIMConfig | DMJDConfig

# What may stand under `base` of a wrapper.
MethodConfig = SerializeAsAny[Annotated[BuiltInConfig, Field(discriminator="name"), OTHERS_TOO]]
