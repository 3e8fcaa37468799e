"""The catalog: one card per public dataset, as data. A folder's own `dataset.yaml` goes first."""

from functools import cache
from importlib import resources
from pathlib import Path

import yaml

from rspipe.errors import RecipeError
from rspipe.recipe import read_yaml, validate
from rspipe.schema import DatasetCard

CARD_NAME = "dataset.yaml"


@cache
def catalog() -> dict[str, DatasetCard]:
    """Read every card that ships with rspipe, by name."""
    folder = resources.files("rspipe.catalog") / "cards"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    cards = [validate(read_yaml(f.read_text()), DatasetCard, f.name) for f in files]
    return {card.name: card for card in cards}


def card_for(folder: Path) -> DatasetCard:
    """Return the card of a dataset's folder: its own, else the catalog's, else an empty one.

    An empty card has the folder's name and layout `auto`: bring-your-own data works without one.

    Raises:
        RecipeError: the folder's own card is wrong.
    """
    own = folder / CARD_NAME
    if own.is_file():
        return load_card(own)
    for card in catalog().values():
        if folder.name == card.name or folder.name in card.aliases:
            return card.model_copy(update={"name": folder.name})
    return DatasetCard(name=folder.name)


def load_card(path: Path) -> DatasetCard:
    """Read one card.

    Raises:
        RecipeError: not a YAML mapping, an unknown key, or a wrong type.
    """
    try:
        data = read_yaml(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: a card is a mapping of keys to values")
    return validate(data, DatasetCard, str(path))
