# SPDX-License-Identifier: Apache-2.0
"""The OpticalRS recipes name only what the catalog knows, and their READMEs say what cards say."""

import re
from pathlib import Path

import pytest

from rspipe.catalog import catalog
from rspipe.catalog.words import images_of
from rspipe.curate.config import CurateRecipe
from rspipe.curate.plan import plan, tell
from rspipe.recipe import load_recipe

PIPELINES = Path(__file__).parents[2] / "pipelines"
# What arXiv:2406.11933 reports on.
PAPER_BENCHMARKS = ("aid", "resisc45", "dior", "dior_r", "loveda", "spacenet1")
RECIPES = ("opticalrs_13m", "opticalrs_4m")

each_recipe = pytest.mark.parametrize("name", RECIPES)


def planned(name, tmp_path):
    data = f"data={tmp_path / 'nowhere'}"
    return plan(load_recipe(PIPELINES / name / "curate.yaml", CurateRecipe, [data]))


@each_recipe
def test_every_data_set_of_the_recipe_has_a_card_and_is_named_once(name, tmp_path):
    names = [need.card.name for need in planned(name, tmp_path).needs]
    assert set(names) <= set(catalog())
    assert len(names) == len(set(names))


@each_recipe
def test_without_data_the_plan_names_a_next_step_for_every_data_set(name, tmp_path):
    made = planned(name, tmp_path)
    assert not made.is_ready
    text = "\n".join(tell(made))
    for need in made.needs:
        assert f"rspipe catalog fetch {need.card.name} --to" in text


@each_recipe
def test_the_paper_s_benchmarks_are_held_out_whole_themselves_or_by_the_same_pictures(
    name, tmp_path
):
    held_out = {need.card.name for need in planned(name, tmp_path).needs if need.is_held_out}
    for benchmark in PAPER_BENCHMARKS:
        same = {benchmark, *catalog()[benchmark].shares_imagery_with}
        assert same & held_out
        assert images_of(catalog()[(same & held_out).pop()]) == images_of(catalog()[benchmark])


@each_recipe
def test_no_source_is_a_benchmark_s_imagery_under_another_name(name, tmp_path):
    needs = planned(name, tmp_path).needs
    held_out = {need.card.name for need in needs if need.is_held_out}
    for need in needs:
        if not need.is_held_out and images_of(need.card):
            for other in held_out & set(need.card.shares_imagery_with):
                assert images_of(need.card) != images_of(catalog()[other])


def test_the_4m_recipe_is_the_13m_recipe_without_skyscript(tmp_path):
    large = [need.card.name for need in planned("opticalrs_13m", tmp_path).needs]
    small = [need.card.name for need in planned("opticalrs_4m", tmp_path).needs]
    assert [name for name in large if name != "skyscript"] == small


def test_the_tables_of_the_readme_say_what_the_cards_say(tmp_path):
    text = (PIPELINES / "opticalrs_13m/README.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| [^|]+ \| ([^|]+) \|", text, flags=re.MULTILINE)
    cards = {need.card.name: need.card for need in planned("opticalrs_13m", tmp_path).needs}
    assert [row[0] for row in rows] != []
    assert {row[0] for row in rows} == set(cards)
    for name, images, licence in rows:
        stated = images_of(cards[name])
        assert images == ("unknown" if stated is None else f"{stated:,}")
        assert licence == (cards[name].licence or "none stated")


@each_recipe
def test_the_totals_of_the_readme_are_the_sums_of_the_cards(name, tmp_path):
    sources = [need.card for need in planned(name, tmp_path).needs if not need.is_held_out]
    counts = [images_of(card) for card in sources]
    total = f"{sum(count for count in counts if count is not None):,}"
    unknown = sum(count is None for count in counts)
    text = (PIPELINES / name / "README.md").read_text()
    assert f"at least {total}; of {unknown} sources the number is not known" in text
