# SPDX-License-Identifier: Apache-2.0
"""Tab offers verbs, options, recipes, corpora and data sets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rspipe.catalog import catalog
from rspipe.cli.completion import card_names, corpora, recipes


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("recipes/curate.yaml", "recipes/notes.txt", ".hidden/x.yaml", "one.yml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    for name in ("demo", "mine"):
        Path("data/corpus", name).mkdir(parents=True)
    Path("data/corpus/demo/manifest.json").touch()


def test_recipes_are_yaml_files_and_the_folders_that_lead_to_them(project):
    assert recipes("") == ["data/", "one.yml", "recipes/"]
    assert recipes("recipes/") == ["recipes/curate.yaml"]
    assert recipes("rec") == ["recipes/"]
    assert recipes("nowhere/x") == []
    assert f"{Path.cwd()}/one.yml" in recipes(f"{Path.cwd()}/on")


def test_corpora_are_the_finished_ones_before_other_folders(project):
    assert corpora("") == ["data/corpus/demo"]
    assert corpora("rec") == ["recipes/"]


def test_card_names_are_those_of_the_catalog():
    assert card_names("") == list(catalog())
    assert "loveda" in card_names("lov")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("rspipe cur", ["curate"]),
        ("rspipe curate recipes/", ["recipes/curate.yaml"]),
        ("rspipe corpus stats ", ["data/corpus/demo"]),
        ("rspipe corpus stats --js", ["--json"]),
    ],
)
def test_bash_is_answered(project, typed, offered):
    asked = {
        "_RSPIPE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from rspipe.cli import main; main()"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == offered, done.stderr
