# SPDX-License-Identifier: Apache-2.0
import pytest
from pydantic import Field

from rspipe.errors import RecipeError
from rspipe.recipe import Strict, fingerprint, load_recipe, read_recipe


class Inner(Strict):
    tile_px: int = Field(default=64, ge=8)


class Outer(Strict):
    name: str
    lr: float = 0.1
    slice: Inner = Inner()


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("name: a\nlr: 1e-3\nslice: {tile_px: 32}\n")
    return path


def test_yaml_numbers_without_a_dot_are_numbers(recipe):
    assert load_recipe(recipe, Outer).lr == 0.001


def test_overrides_reach_nested_keys(recipe):
    assert load_recipe(recipe, Outer, ["slice.tile_px=128", "lr=2"]).slice.tile_px == 128


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("slice.tile_pxx=9", ["unknown key 'slice.tile_pxx'", "did you mean 'tile_px'"]),
        ("nmae=x", ["unknown key 'nmae'", "did you mean 'name'"]),
        ("slice.tile_px=big", ["slice.tile_px", "valid integer", "'big'"]),
        ("slice.tile_px=1", ["greater than or equal to 8"]),
        ("slice.tile_px=64.0", ["slice.tile_px"]),
        ("name=7", ["name", "valid string"]),
        ("novalue", ["key=value"]),
    ],
)
def test_a_wrong_key_or_type_is_named_with_the_nearest_valid_name(recipe, override, words):
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, Outer, [override])
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_recipe_names_its_neighbour(tmp_path, recipe):
    with pytest.raises(RecipeError, match="did you mean"):
        load_recipe(tmp_path / "rr.yaml", Outer)


def test_fingerprints_ignore_the_order_of_keys_and_see_every_value():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(Inner()) != fingerprint(Inner(tile_px=65))


def written(folder, **recipes):
    for name, text in recipes.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_recipe_is_laid_over_those_it_extends_key_by_key_the_later_over_the_earlier(tmp_path):
    written(
        tmp_path,
        first="name: first\nlr: 1.0\nslice: {tile_px: 16}\n",
        second="extends: first.yaml\nlr: 2.0\n",
        third="slice: {tile_px: 128}\n",
        last="extends: [second.yaml, third.yaml]\nname: last\n",
    )
    found = load_recipe(tmp_path / "last.yaml", Outer)
    assert (found.name, found.lr, found.slice.tile_px) == ("last", 2.0, 128)
    assert load_recipe(tmp_path / "second.yaml", Outer).slice.tile_px == 16


def test_a_section_of_another_name_is_replaced_whole(tmp_path):
    written(
        tmp_path,
        below="objective: {name: mae, depth: 8}\n",
        same="extends: below.yaml\nobjective: {depth: 4}\n",
        other="extends: below.yaml\nobjective: {name: simmim}\n",
        dials="objective: {depth: 2}\n",
        named="extends: dials.yaml\nobjective: {name: simmim}\n",
    )
    assert read_recipe(tmp_path / "same.yaml") == {"objective": {"name": "mae", "depth": 4}}
    assert read_recipe(tmp_path / "other.yaml") == {"objective": {"name": "simmim"}}
    assert read_recipe(tmp_path / "named.yaml") == {"objective": {"name": "simmim", "depth": 2}}


def test_recipes_in_other_folders_are_found_from_the_one_that_names_them(tmp_path):
    (tmp_path / "deep").mkdir()
    written(tmp_path, base="name: base\n")
    written(tmp_path / "deep", leaf="extends: ../base.yaml\n")
    assert load_recipe(tmp_path / "deep" / "leaf.yaml", Outer).name == "base"


def test_a_circle_is_refused_and_drawn(tmp_path):
    written(tmp_path, a="extends: b.yaml\n", b="extends: a.yaml\n")
    with pytest.raises(RecipeError, match=r"circle: .*a\.yaml -> .*b\.yaml -> .*a\.yaml"):
        load_recipe(tmp_path / "a.yaml", Outer)


def test_a_base_may_be_extended_twice_without_being_a_circle(tmp_path):
    written(
        tmp_path,
        base="name: base\n",
        a="extends: base.yaml\nlr: 1.0\n",
        b="extends: base.yaml\nslice: {tile_px: 8}\n",
        both="extends: [a.yaml, b.yaml]\n",
    )
    assert load_recipe(tmp_path / "both.yaml", Outer) == Outer(
        name="base", lr=1.0, slice=Inner(tile_px=8)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: bse.yaml\n", ["no such recipe", "did you mean", "leaf.yaml extends it"]),
        ("extends: 7\n", ["extends=7", "want the name of a recipe"]),
        ("extends: base.yaml\nnmae: x\n", ["leaf.yaml: unknown key 'nmae'"]),
    ],
)
def test_what_cannot_be_extended_is_named(tmp_path, text, words):
    written(tmp_path, base="name: base\n", leaf=text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "leaf.yaml", Outer)
    for word in words:
        assert word in str(caught.value)


def test_overrides_reach_what_comes_from_a_base(tmp_path):
    written(tmp_path, base="name: base\nslice: {tile_px: 16}\n", leaf="extends: base.yaml\n")
    assert load_recipe(tmp_path / "leaf.yaml", Outer, ["slice.tile_px=32"]).slice.tile_px == 32
