# SPDX-License-Identifier: Apache-2.0
"""The wheel: what is in it, and that it works outside the source tree.

`make check-wheel` installs it with each extra into a clean environment; here only what is cheap.
"""

import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    # From the sdist, so that nothing left in build/ can come along.
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), "."]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def listed(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel_holds_cards_templates_recipes_and_types(listed):
    for name in (
        "rspipe/py.typed",
        "rspipe/__init__.pyi",
        "rspipe/catalog/cards/dior.yaml",
        "rspipe/cli/recipes/curate.yaml",
        "rspipe/report/templates/report.html.j2",
        "rspipe/compare/templates/compare.html.j2",
    ):
        assert name in listed


def test_wheel_holds_every_file_of_the_package_and_nothing_else(listed):
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "rspipe"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    package = {name for name in listed if not name.startswith("rspipe-")}
    assert package == set(tracked)


def test_wheel_works_where_the_source_tree_is_not(wheel, tmp_path):
    target = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(target)
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import rspipe; "
        "assert rspipe.__file__.startswith(sys.path[0]), rspipe.__file__; "
        "from rspipe.cli import main; main()"
    )
    for words in (["init", "tiny"], ["catalog", "show", "dior", "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", code, str(target), *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "tiny/curate.yaml").is_file()
