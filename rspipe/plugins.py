# SPDX-License-Identifier: Apache-2.0
"""Readers and objectives of other packages, which stand beside the built-in ones.

A package names its class in its pyproject.toml, and once it is installed, rspipe knows it:

    [project.entry-points."rspipe.readers"]
    my_layout = "my_package:MyReader"

    [project.entry-points."rspipe.objectives"]
    my_method = "my_package:MyMethod"

The name is the one that cards and recipes use, and the class must carry it, too. `rspipe doctor`
lists what is found. Plug-ins are imported where they are first asked for, not before, since they
import rspipe themselves; worker processes find them in the same way.
"""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from rspipe.errors import PluginError

Family = Literal["readers", "objectives"]
FAMILIES: tuple[Family, ...] = ("readers", "objectives")


@dataclass(frozen=True)
class Plugin:
    """One plug-in: what it is called, where it comes from, and the class."""

    name: str
    package: str
    """The distribution and its version, as pip lists them."""
    found: Any

    def __str__(self) -> str:
        """Name it and its package."""
        return f"{self.name} ({self.package})"


def installed(family: Family) -> list[tuple[str, str]]:
    """List name and package of each plug-in, without importing it."""
    return [(point.name, _package(point)) for point in _points(family)]


def _points(family: Family) -> list[EntryPoint]:
    found = entry_points(group=f"rspipe.{family}")
    return sorted(found, key=lambda point: (point.name, point.value))


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "no package"


@cache
def plugins(family: Family, built_in: tuple[str, ...]) -> dict[str, Plugin]:
    """Import the plug-ins of a family, sorted by name.

    Args:
        family: what they are.
        built_in: names that are taken.

    Raises:
        PluginError: one cannot be imported, has another name than it is registered under, or a
            name that is taken.
    """
    found: dict[str, Plugin] = {}
    for point in _points(family):
        plugin = _load(point, family)
        other = "rspipe itself" if point.name in built_in else found.get(point.name)
        if other is not None:
            raise PluginError(f"{family} plug-in {plugin}: the name is taken by {other}; rename it")
        found[point.name] = plugin
    return found


def _load(point: EntryPoint, family: Family) -> Plugin:
    package = _package(point)
    try:
        plugin = Plugin(point.name, package, point.load())
    except (ImportError, AttributeError, SyntaxError) as error:
        raise PluginError(
            f"{family} plug-in {point.name} ({package}): {point.value} cannot be imported: "
            f"{error}; mend it, or pip uninstall {package.split(maxsplit=1)[0]}"
        ) from error
    name = getattr(plugin.found, "name", None)
    if name != point.name:
        raise PluginError(
            f"{family} plug-in {plugin}: {point.value} calls itself {name!r}; "
            "its `name` and that of its entry point must be the same"
        )
    return plugin
