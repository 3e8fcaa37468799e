# SPDX-License-Identifier: Apache-2.0
"""Report recipes read what the evaluation recipes write."""

import re
from pathlib import Path

import pytest

from rspipe.evaluate.config import EvalRecipe
from rspipe.recipe import load_recipe
from rspipe.report.config import ReportRecipe

PIPELINES = Path(__file__).parents[2] / "pipelines"


def written_by(*recipes):
    return {Path(load_recipe(path, EvalRecipe).out_folder) for path in recipes}


REAL = ("fine_tune", "fine_tune_hurricane", "detect_hit_uav", "detect_ships", "by_heart")


@pytest.mark.parametrize(
    ("folder", "recipes"), [("demo", ("eval",)), ("real_sets", ("eval", *REAL))]
)
def test_a_report_reads_what_evaluations_write(folder, recipes):
    report = load_recipe(PIPELINES / folder / "report.yaml", ReportRecipe)
    written = written_by(*(PIPELINES / folder / f"{name}.yaml" for name in recipes))
    assert set(report.results) == written


def test_the_report_of_the_paper_has_every_recipe_of_its_page():
    folder = PIPELINES / "paper_benchmarks"
    named = re.search(r"for recipe in (.*); do", (folder / "README.md").read_text())[1].split()
    report = load_recipe(folder / "report.yaml", ReportRecipe)
    recipes = [PIPELINES / f"{name}.yaml" for name in named]
    assert set(report.results) == written_by(*recipes)
    printed = {one.benchmark for path in recipes for one in load_recipe(path, EvalRecipe).published}
    assert printed == {"aid", "resisc45", "dior", "dior_r", "loveda", "spacenet1"}
