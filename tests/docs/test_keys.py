# SPDX-License-Identifier: Apache-2.0
"""The pages of all keys are what the models say."""

import pytest

from docs.keys import PAGES, RECIPES
from tests.docs.commands import RECIPES as VERBS
from tests.docs.pages import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_keys_is_what_the_models_say(name):
    page = (ROOT / "docs" / name).read_text()
    assert page == PAGES[name](), "run `python -m docs.keys`"


def test_every_verb_with_a_recipe_has_its_keys_on_the_page():
    assert RECIPES.keys() == VERBS.keys()


def test_a_key_stands_there_with_its_limits_its_default_and_its_meaning():
    page = (ROOT / "docs/recipe-keys.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| `min_side_px`"))
    assert row == (
        "| `min_side_px` | whole number ≥ 1 | `32` | Images with a shorter side are dropped. |"
    )
    # A dial that a derived model only sets anew has the meaning that its base gives it.
    assert page.count("Brightness, contrast, saturation and hue are distorted.") == 2
