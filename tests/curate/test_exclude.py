# SPDX-License-Identifier: Apache-2.0
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rspipe.curate.config import ExcludeConfig
from rspipe.curate.exclude import RULES, ExcludeItem, declared_bands, exclude
from rspipe.schema import IMAGE_SCHEMA, DatasetCard

IMAGE = {
    **{"dataset": "d", "source_path": "a.tif", "height": 400, "width": 300, "bands": 3},
    **{"dtype": "uint8", "display_bands": [1, 2, 3], "split": "train"},
}


@pytest.fixture
def fate(tmp_path):
    """Exclude one image; gives (reason, detail), (None, None) where it stays."""

    def fate(image=None, card=None, **config):
        row = IMAGE | (image or {})
        pq.write_table(pa.Table.from_pylist([row], IMAGE_SCHEMA), tmp_path / "part.parquet")
        cards = {"d": DatasetCard(name="d", **(card or {}))}
        item = ExcludeItem(tmp_path / "part.parquet", cards, ExcludeConfig(**config))
        (row,) = exclude(item).to_pylist()
        assert row["drop_stage"] in {None, "exclude"}
        return row["drop_reason"], row["drop_detail"]

    return fate


CASES = [
    ("wrong_bands", {"display_bands": None, "bands": 2}, {}, {}, "2 uint8 bands"),
    ("wrong_bands", {"display_bands": [1]}, {}, {"allow_grey": False}, "single grey"),
    ("wrong_bands", {"dtype": "complex64", "display_bands": [1]}, {}, {}, "complex"),
    ("too_many_pixels", {"height": 10**6, "width": 10**6}, {}, {}, "1,000,000.0 Mpx > 10,000"),
    ("too_small", {"height": 20}, {}, {}, "20 px < 32 px"),
    ("too_large", {}, {}, {"max_side_px": 399}, "400 px > 399 px"),
    ("aspect_ratio", {"width": 100}, {}, {"max_aspect_ratio": 3.0}, "4.00 to 1 > 3.0"),
    ("dtype_not_allowed", {"dtype": "int16"}, {}, {"dtypes_allowed": ("uint8",)}, "int16"),
    ("gsd_not_allowed", {"gsd_m": 30.0}, {}, {"max_gsd_m": 10.0}, "30 m > 10.0 m"),
    ("gsd_not_allowed", {"gsd_m": 0.05}, {}, {"min_gsd_m": 0.1}, "0.05 m < 0.1 m"),
    ("gsd_not_allowed", {}, {}, {"max_gsd_m": 10.0, "unknown_gsd": "drop"}, "unknown"),
    ("cloudy", {"cloud_cover": 0.75}, {}, {"max_cloud_cover": 0.5}, "0.750 > 0.5"),
    ("cloudy", {}, {}, {"max_cloud_cover": 0.5, "unknown_cloud_cover": "drop"}, "unknown"),
    (
        "licence_not_allowed",
        {},
        {"licence": "CC-BY-NC-4.0"},
        {"licences_denied": ("*-NC-*",)},
        "CC-BY-NC-4.0 denied",
    ),
    (
        "licence_not_allowed",
        {},
        {"licence": "MIT"},
        {"licences_allowed": ("CC-BY-*",)},
        "MIT not allowed",
    ),
    ("licence_not_allowed", {}, {}, {"unknown_licence": "drop"}, "no licence stated"),
    ("not_redistributable", {}, {}, {"redistributable_only": True}, "unknown"),
    (
        "not_redistributable",
        {},
        {"redistributable": False, "licence": "MIT"},
        {"redistributable_only": True},
        "no (licence MIT)",
    ),
    ("split_not_allowed", {}, {}, {"splits_denied": ("train",)}, "split train denied"),
    ("benchmark_split", {}, {"benchmark_splits": "all"}, {}, "held out"),
]


@pytest.mark.parametrize(("reason", "image", "card", "config", "words"), CASES)
def test_each_rule_drops_with_what_it_measured(fate, reason, image, card, config, words):
    assert fate() == (None, None)
    found, detail = fate(image, card, **config)
    assert found == reason
    assert words in detail


def test_every_rule_has_a_case():
    assert {case[0] for case in CASES} == set(RULES)


@pytest.mark.parametrize(
    ("image", "card", "config"),
    [
        ({}, {}, {"max_gsd_m": 10.0}),
        ({"gsd_m": 10.0}, {}, {"min_gsd_m": 10.0, "max_gsd_m": 10.0}),
        ({"cloud_cover": 0.5}, {}, {"max_cloud_cover": 0.5}),
        ({}, {"licence": "CC-BY-4.0"}, {"licences_allowed": ("CC-BY-*",)}),
        ({}, {}, {"licences_allowed": ("CC-BY-*",)}),
        ({}, {"redistributable": True}, {"redistributable_only": True}),
        ({"display_bands": [1]}, {}, {}),
    ],
)
def test_what_lies_within_the_limits_or_is_unknown_stays(fate, image, card, config):
    assert fate(image, card, **config) == (None, None)


@pytest.mark.parametrize(
    "config",
    [
        {"licences_allowed": ()},
        {"licences_denied": ("*",)},
        {"splits_denied": ("train",)},
        {"min_side_px": 1000},
        {"max_side_px": 10},
        {"dtypes_allowed": ()},
        {"redistributable_only": True},
    ],
)
def test_no_rule_keeps_a_benchmark_picture_from_being_compared(fate, config):
    card = {"benchmark_splits": "all", "licence": "CC-BY-NC-4.0"}
    assert fate(card=card, **config)[0] == "benchmark_split"
    assert fate({"display_bands": [1]}, card, allow_grey=False)[0] == "benchmark_split"


def test_a_recipe_may_name_the_bands_to_show(fate):
    four = {"bands": 4, "display_bands": None}
    card = {"bands": ("blue", "green", "red", "nir")}
    assert fate(four, card, display_bands={"d": ("nir", "red", "green")}) == (None, None)
    assert fate(four, card, display_bands={"d": (4, 3, 2)}) == (None, None)
    reason, detail = fate(four, card, display_bands={"d": ("nir", "red", "swir")})
    assert reason == "wrong_bands"
    assert "swir" in detail


def test_bands_are_numbered_from_1_and_must_be_in_the_file():
    card = DatasetCard(name="d", bands=("blue", "green", "red", "nir"))
    assert declared_bands(("nir", "red", "green"), card, 4) == [4, 3, 2]
    assert declared_bands((2,), card, 4) == [2]
    assert declared_bands(("nir", "red", "green"), card, 3) is None
    assert declared_bands((0, 1, 2), card, 4) is None
    assert declared_bands((1, 2), card, 4) is None
