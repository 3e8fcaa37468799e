# SPDX-License-Identifier: Apache-2.0
"""What Tab offers: recipes, corpora and names of the catalog. Nothing heavy is imported for it."""

from importlib import resources
from pathlib import Path

CORPORA = Path("data/corpus")
"""Where `rspipe curate` puts a corpus, unless the recipe says otherwise."""


def recipes(incomplete: str) -> list[str]:
    """Offer folders and YAML files that begin with what is typed so far."""
    return _beginning_with(incomplete, (".yaml", ".yml"))


def corpora(incomplete: str) -> list[str]:
    """Offer the finished corpora in their usual place; else folders."""
    known = [str(manifest.parent) for manifest in CORPORA.glob("*/manifest.json")]
    fitting = sorted(name for name in known if name.startswith(incomplete))
    return fitting or _beginning_with(incomplete)


def card_names(incomplete: str) -> list[str]:
    """Offer the data sets of the catalog, by the names of their files."""
    cards = resources.files("rspipe") / "catalog" / "cards"
    names = (card.name.removesuffix(".yaml") for card in cards.iterdir())
    return sorted(name for name in names if name.startswith(incomplete))


def _beginning_with(incomplete: str, suffixes: tuple[str, ...] = ()) -> list[str]:
    """List folders (with a slash at their end) and files of some suffixes."""
    folder, slash, start = incomplete.rpartition("/")
    place = Path(folder or slash or ".")
    if not place.is_dir():
        return []
    return sorted(
        f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}"
        for path in place.iterdir()
        if path.name.startswith(start) and (path.is_dir() or path.suffix in suffixes)
        if start or not path.name.startswith(".")
    )
