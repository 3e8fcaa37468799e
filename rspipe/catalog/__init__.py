# SPDX-License-Identifier: Apache-2.0
"""The catalog: one card per public dataset, as data. A folder's own `dataset.yaml` goes first."""

from functools import cache
from importlib import resources
from pathlib import Path

import yaml

from rspipe.errors import RecipeError
from rspipe.recipe import nearest_name, read_yaml, validate
from rspipe.schema import DatasetCard

CARD_NAME = "dataset.yaml"


@cache
def catalog() -> dict[str, DatasetCard]:
    """Read every card that ships with rspipe, by name."""
    folder = resources.files("rspipe.catalog") / "cards"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    cards = [validate(read_yaml(f.read_text()), DatasetCard, f.name) for f in files]
    return {card.name: card for card in cards}


@cache
def _names() -> dict[str, str]:
    """Every name and alias of the catalog → the card's name."""
    return {word: card.name for card in catalog().values() for word in (*card.aliases, card.name)}


def catalog_card(name: str) -> DatasetCard:
    """Look up a card by its name or one of its aliases.

    Raises:
        RecipeError: no card has that name; the message carries the nearest one.
    """
    card = find_card(name)
    if card is None:
        raise RecipeError(f"the catalog has no card {name!r}{nearest_name(name, _names())}")
    return card


def find_card(name: str) -> DatasetCard | None:
    """Return the card of that name or alias, if the catalog has one."""
    return catalog()[_names()[name]] if name in _names() else None


def card_for(folder: Path) -> DatasetCard:
    """Return the card of a dataset's folder; see `card_of`.

    Raises:
        RecipeError: the folder's own card is wrong.
    """
    own = folder / CARD_NAME
    return load_card(own) if own.is_file() else card_of(folder.name)


def card_of(name: str, own: str | None = None, origin: str = CARD_NAME) -> DatasetCard:
    """Return the card of a dataset: its own, else the catalog's, else an empty one.

    An empty card has layout `auto`: bring-your-own data works without one.

    Args:
        name: the dataset's name, usually its folder's.
        own: text of the card that the dataset brings.
        origin: where that text comes from, for messages.

    Raises:
        RecipeError: the own card is wrong.
    """
    if own is not None:
        return parse_card(own, origin)
    known = find_card(name)
    return known.model_copy(update={"name": name}) if known else DatasetCard(name=name)


def load_card(path: Path) -> DatasetCard:
    """Read one card.

    Raises:
        RecipeError: not a YAML mapping, an unknown key, or a wrong type.
    """
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not valid YAML: {error}") from error
    return parse_card(text, str(path))


def parse_card(text: str, origin: str) -> DatasetCard:
    """Read a card's text.

    Raises:
        RecipeError: not a YAML mapping, an unknown key, or a wrong type.
    """
    try:
        data = read_yaml(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{origin}: a card is a mapping of keys to values")
    return validate(data, DatasetCard, origin)
