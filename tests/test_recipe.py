import pytest
from pydantic import Field

from rspipe.errors import RecipeError
from rspipe.recipe import Strict, fingerprint, load_recipe


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
