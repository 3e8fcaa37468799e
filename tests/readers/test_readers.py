"""The table of readers, and the cards that name them."""

import pytest

from rspipe.catalog import card_for, catalog
from rspipe.errors import RecipeError
from rspipe.readers import READERS, FileTree, read_dataset
from rspipe.schema import DatasetCard


def test_an_unknown_layout_names_the_nearest(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'voc'"):
        read_dataset(FileTree.scan(tmp_path), DatasetCard(name="x", layout="vocc"))


def test_the_folder_own_card_goes_before_the_catalog(tmp_path):
    folder = tmp_path / "eurosat"
    folder.mkdir()
    assert card_for(folder).title == catalog()["eurosat"].title
    (folder / "dataset.yaml").write_text("name: mine\nlayout: scenes\n")
    assert card_for(folder).name == "mine"
    (folder / "dataset.yaml").write_text("name: mine\nlicense: MIT\n")
    with pytest.raises(RecipeError, match="did you mean 'licence'"):
        card_for(folder)


def test_every_catalog_card_names_readers_and_their_options(tmp_path):
    for card in catalog().values():
        for layout in card.layout.split("+"):
            assert layout in READERS, card.name
