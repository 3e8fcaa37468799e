# SPDX-License-Identifier: Apache-2.0
"""Laws of the catalog: what every card must be, and that it names only what exists."""

from importlib import resources

import pytest
from license_expression import get_spdx_licensing

from rspipe.catalog import card_for, catalog, catalog_card
from rspipe.errors import RecipeError
from rspipe.io.fetch import path_of
from rspipe.io.transfer import web_address
from rspipe.io.unpack import is_archive
from rspipe.readers import READERS
from rspipe.readers.base import SHARED_OPTIONS
from rspipe.schema import DatasetCard

CARDS = list(catalog().values())
SPDX = get_spdx_licensing()
LAYOUTS = {
    "change_pairs", "coco", "dota", "fair1m", "fmow", "hrsc", "image_folder", "mask_pairs",
    "modis_hdf", "parquet", "scenes", "spacenet", "voc", "webdataset", "xbd", "xview", "yolo",
}  # fmt: skip
BENCHMARKS = (
    "aid", "dior", "dior_r", "dota_v1", "dota_v1_5", "dota_v2", "eurosat", "fmow", "inria",
    "isaid", "loveda", "potsdam", "resisc45", "spacenet1", "spacenet2", "spacenet3", "spacenet4",
    "spacenet5", "spacenet6", "spacenet7", "spacenet8", "ucmerced", "vaihingen", "xview",
)  # fmt: skip

each_card = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)


def test_the_catalog_has_at_least_sixty_cards():
    assert len(CARDS) >= 60


def test_a_card_is_found_in_the_file_of_its_name():
    files = {f.name for f in (resources.files("rspipe.catalog") / "cards").iterdir()}
    assert files == {f"{card.name}.yaml" for card in CARDS}


def test_no_two_cards_share_a_name_or_an_alias():
    words = [word for card in CARDS for word in {card.name, *card.aliases}]
    twice = {word for word in words if words.count(word) > 1}
    assert not twice


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_a_card_with_sources_that_holds_images_out(name):
    card = catalog()[name]
    assert card.benchmark_splits
    assert card.sources
    assert card.citation or card.doi or card.arxiv


@each_card
def test_a_card_says_where_its_facts_were_read(card):
    assert card.sources


@each_card
def test_a_card_names_layouts_that_readers_have_and_options_that_they_know(card):
    names = card.layout.split("+")
    assert set(names) <= LAYOUTS
    readers = [READERS[name] for name in names if name in READERS]
    if len(readers) == len(names):
        known = {*SHARED_OPTIONS, *(option for reader in readers for option in reader.options)}
        assert set(card.options) <= known


@each_card
def test_a_licence_is_spdx_or_a_named_reference_or_is_said_to_be_unknown(card):
    if card.licence is None:
        assert card.licence_note
        return
    unknown = SPDX.unknown_license_keys(card.licence)
    assert all(key.startswith("LicenseRef-") for key in unknown)


@each_card
def test_sharing_imagery_is_mutual_and_names_cards(card):
    for other in card.shares_imagery_with:
        assert other != card.name
        assert card.name in catalog()[other].shares_imagery_with


@each_card
def test_counts_add_up_to_no_more_than_the_total(card):
    if card.n_images is not None:
        assert sum(card.counts.values()) <= card.n_images


@each_card
def test_spans_are_ordered(card):
    for span in (card.image_px, card.gsd_m):
        assert span is None or 0 < span[0] <= span[1]


@each_card
def test_the_splits_and_classes_that_a_card_names_exist(card):
    if card.counts and card.benchmark_splits not in {"all", ()}:
        assert set(card.benchmark_splits) & set(card.counts)
    assert card.classes is None or card.n_classes is None
    if isinstance(card.classes, dict):
        assert set(card.ignore_classes) <= set(card.classes)


@each_card
def test_a_download_can_be_fetched_or_says_by_hand(card):
    paths = []
    for download in card.downloads:
        # The digest of nothing: a sign of a checksum that was taken of an empty file.
        assert download.md5 != "d41d8cd98f00b204e9800998ecf8427e"
        if not download.manual:
            assert web_address(download.url).startswith("http")
        if not download.manual or download.path:
            paths.append(path_of(download))
            assert is_archive(paths[-1]) or not download.unpack
    assert len(paths) == len(set(paths))


@each_card
def test_no_checksum_stands_for_two_files(card):
    digests = [d.md5 or d.sha256 for d in card.downloads if d.md5 or d.sha256]
    assert len(digests) == len(set(digests))


def test_an_alias_finds_its_card_and_a_folder_keeps_its_own_name(tmp_path):
    assert catalog_card("NWPU-RESISC45").name == "resisc45"
    folder = tmp_path / "NWPU-RESISC45"
    folder.mkdir()
    card = card_for(folder)
    assert card.name == "NWPU-RESISC45"
    assert card.licence == catalog()["resisc45"].licence


def test_an_unknown_name_is_told_the_nearest_one():
    with pytest.raises(RecipeError, match="did you mean 'loveda'"):
        catalog_card("lovda")


def test_a_mended_citation_makes_nothing_anew_but_a_licence_does():
    card = DatasetCard(name="x", licence="MIT")
    same = card.model_copy(update={"citation": "A et al.", "known_faults": ("a typo",)})
    assert card.deciding() == same.deciding()
    assert card.deciding() != card.model_copy(update={"licence": "CC0-1.0"}).deciding()
