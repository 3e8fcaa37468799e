# SPDX-License-Identifier: Apache-2.0
"""The catalog's cards read the layouts of their datasets, as fakes write them."""

import pytest

from rspipe.catalog import catalog
from rspipe.readers import FileTree, read_dataset
from tests.fakes import fakes
from tests.readers.test_laws import said_of

CARDS = {
    # Fake: cards of datasets that come like it.
    "loveda": ["loveda"],
    "potsdam": ["potsdam"],
    "vaihingen": ["vaihingen"],
    "inria": ["inria"],
    "deepglobe": ["deepglobe_landcover", "deepglobe_roads"],
    "landcoverai": ["landcover_ai"],
    "gid15": ["gid15"],
    "geonrw": ["geonrw"],
    "massachusetts": ["massachusetts_roads", "massachusetts_buildings"],
    "openearthmap": ["openearthmap"],
    "dfc2022": ["dfc2022"],
    "whu_building": ["whu_building_aerial"],
    "levircd": ["levir_cd", "levir_cd_plus", "whu_cd"],
    "s2looking": ["s2looking"],
    "second": ["second"],
    "spacenet1": ["spacenet1"],
    "spacenet2": ["spacenet2"],
    "spacenet4": ["spacenet4"],
    "spacenet6": ["spacenet6"],
    "spacenet7": ["spacenet7"],
    "spacenet8": ["spacenet8"],
    "xbd": ["xbd"],
    "naip": ["naip"],
    "resisc45": ["resisc45"],
    "million_aid": ["million_aid"],
    "dior": ["dior_r"],
    "hrsc2016": ["hrsc2016"],
    "fair1m": ["fair1m"],
    "dota": ["dota_v1_5"],
    "isaid": ["isaid"],
    "vhr10": ["vhr10"],
    "soda": ["soda_a"],
    "rsicd": ["rsicd"],
    "xview": ["xview"],
    "fmow": ["fmow"],
}


@pytest.mark.parametrize(("fake", "card"), [(f, c) for f, cards in CARDS.items() for c in cards])
def test_a_card_reads_its_dataset_as_its_fake_was_written(tmp_path, fake, card):
    expected = fakes()[fake](tmp_path)
    listing = read_dataset(FileTree.scan(tmp_path), catalog()[card])
    parts = ("mask_path", "pair_path", "footprints_path", "label", "boxes", "caption")
    said = {path: said_of(record) for path, record in listing.images.items()}
    found = {path: {key: one.get(key) for key in parts} for path, one in said.items()}
    assert found == {p: {key: one.get(key) for key in parts} for p, one in expected.images.items()}
    assert set(listing.sidecars) == expected.sidecars
    # A benchmark's splits are those that the card holds out.
    held_out = catalog()[card].benchmark_splits
    if held_out not in ("all", ()):
        assert {r.split for r in listing.images.values()} & set(held_out)
