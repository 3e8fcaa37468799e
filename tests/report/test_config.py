# SPDX-License-Identifier: Apache-2.0
"""The recipe of a report."""

from pathlib import Path

import pytest

from rspipe.errors import RecipeError
from rspipe.recipe import validate
from rspipe.report.config import ReportRecipe

FOLDERS = {"name": "x", "corpus": "c", "run": "r", "results": "s"}


def test_page_goes_beside_the_results_unless_told():
    assert validate(FOLDERS, ReportRecipe, "here").out_file == Path("s/report.html")
    assert validate({**FOLDERS, "out": "p.html"}, ReportRecipe, "here").out_file == Path("p.html")


def test_one_page_may_be_of_several_results_folders():
    several = validate({**FOLDERS, "results": ["s", "t"]}, ReportRecipe, "here")
    assert several.results == (Path("s"), Path("t"))
    assert several.out_file == Path("s/report.html")
    with pytest.raises(RecipeError, match="results"):
        validate({**FOLDERS, "results": []}, ReportRecipe, "here")


def test_unknown_key_names_the_nearest():
    with pytest.raises(RecipeError, match="compared_runs"):
        validate({**FOLDERS, "compared_run": []}, ReportRecipe, "here")
