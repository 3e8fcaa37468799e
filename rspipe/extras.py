# SPDX-License-Identifier: Apache-2.0
"""Which packages an extra of pyproject.toml brings, as the installed rspipe's own metadata say."""

import importlib.metadata
import re
from collections.abc import Iterator

# Not of rspipe's own code: for those who develop it, or no more than other extras together.
_OF_DEVELOPERS = frozenset({"all", "docs", "test"})

_BROUGHT_BY = {
    "affine": "rasterio",
    "llvmlite": "numba",
    "mlflow": "mlflow-skinny",
    "osgeo": "gdal",
    "sklearn": "scikit-learn",
}
"""The package of a module that is called otherwise, or comes with another one."""

_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(\[(?P<parts>[^]]*)\])?(.*extra == ['\"](?P<of>.+?)['\"])?"
)


def extras() -> dict[str, tuple[str, ...]]:
    """The packages that each extra names itself, in the order of pyproject.toml.

    Without those for developers. Empty where rspipe is run from a folder without being installed.
    """
    found: dict[str, list[str]] = {}
    for name, _, extra in _requirements():
        if extra and extra not in _OF_DEVELOPERS:
            named = found.setdefault(extra, [])
            if name != "rspipe":
                named.append(name)
    return {extra: tuple(names) for extra, names in found.items()}


def parts_of(extra: str) -> tuple[str, ...]:
    """The extras that one consists of: what it extends first, itself last."""
    extended = [
        part
        for name, parts, of in _requirements()
        if (name, of) == ("rspipe", extra)
        for part in parts
    ]
    inner = [deeper for part in extended for deeper in parts_of(part)]
    return tuple(dict.fromkeys([*inner, extra]))


def extras_with(module: str) -> tuple[str, ...]:
    """The extras that bring a module: `sklearn.linear_model` comes with eval."""
    package = package_of(module)
    return tuple(extra for extra, packages in extras().items() if package in packages)


def package_of(module: str) -> str:
    """The package of an extra that a module comes with: `osgeo.gdal` with gdal."""
    root = module.partition(".")[0]
    return _BROUGHT_BY.get(root, root)


def _requirements() -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    """Package, its extras in brackets, and the extra of rspipe that names it."""
    try:
        lines = importlib.metadata.requires("rspipe") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is not None:
            parts = tuple(part.strip() for part in (match["parts"] or "").split(",") if part)
            yield match["name"].lower(), parts, match["of"]
