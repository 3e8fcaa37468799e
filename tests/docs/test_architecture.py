# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md names every file of every package, and none that is not there."""

import ast
import re
from pathlib import Path

import pytest

import rspipe

PACKAGE = Path(rspipe.__file__).parent
PAGE = Path("docs/architecture.md").read_text()
SECTION = PAGE.split("## Where things live")[1].split("\nThe recipe machinery")[0]
NAMED = set(re.findall(r"`([a-z0-9_]+)/?`", SECTION))
PACKAGES = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))


def parts(package):
    files = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    return files | {path.parent.name for path in package.glob("*/__init__.py")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_file_has_its_place_on_the_page(package):
    assert f"**{package.name}/**" in SECTION
    assert sorted(parts(package) - NAMED) == []


def test_no_name_on_the_page_is_of_a_file_that_has_gone():
    there = {path.stem for path in PACKAGE.rglob("*.py")} | {
        path.name for path in PACKAGE.rglob("*/") if path.is_dir()
    }
    beside = {path.name for root in (".", "pipelines", "tests") for path in Path(root).iterdir()}
    beside |= {path.stem for path in Path("docs").glob("*.py")}
    assert sorted(NAMED - there - beside) == []


def test_every_folder_within_a_package_says_what_it_is():
    for folder in PACKAGE.glob("*/*/__init__.py"):
        assert ast.get_docstring(ast.parse(folder.read_text())), folder
