"""The catalog's cards read the layouts of their datasets, as fakes write them."""

import pytest

from rspipe.catalog import catalog
from rspipe.readers import FileTree, read_dataset
from tests.fakes import fakes

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
}


@pytest.mark.parametrize(("fake", "card"), [(f, c) for f, cards in CARDS.items() for c in cards])
def test_a_card_reads_its_dataset_as_its_fake_was_written(tmp_path, fake, card):
    expected = fakes()[fake](tmp_path)
    listing = read_dataset(FileTree.scan(tmp_path), catalog()[card])
    links = ("mask_path", "pair_path", "footprints_path")
    found = {p: {k: getattr(r.annotation, k) for k in links} for p, r in listing.images.items()}
    assert found == {p: {k: said.get(k) for k in links} for p, said in expected.images.items()}
    assert set(listing.sidecars) == expected.sidecars
    # A benchmark's splits are those that the card holds out.
    held_out = catalog()[card].benchmark_splits
    if held_out not in ("all", ()):
        assert {r.split for r in listing.images.values()} & set(held_out)
