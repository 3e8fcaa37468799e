# SPDX-License-Identifier: Apache-2.0
"""What a curation recipe would need: cards, folders, licences, roles and disk. No data is read."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rspipe.catalog import CARD_NAME, card_of, catalog, find_card
from rspipe.catalog.words import UNKNOWN, columns, images_of, size
from rspipe.curate.config import CurateRecipe
from rspipe.curate.exclude import RULES
from rspipe.errors import UnreadableImage
from rspipe.io.containers import container_suffix
from rspipe.io.storage import Storage
from rspipe.schema import DatasetCard

CardOrigin = Literal["own", "catalog", "none"]
CARD_RULES = ("licence_not_allowed", "not_redistributable")
"""Rules of the exclude stage that look at nothing but the card."""


@dataclass(frozen=True)
class Need:
    """What one dataset of a recipe needs."""

    card: DatasetCard
    card_origin: CardOrigin
    source: str | None
    """Its folder or archive below the recipe's `data`; null: it is missing."""
    not_admitted: str | None
    """Why the recipe's rules let none of its images in."""
    problem: str | None
    """What stands in the way."""
    next_step: str | None
    """The command or the move that helps."""
    notes: tuple[str, ...] = ()

    @property
    def is_held_out(self) -> bool:
        """Whether every image is a benchmark's."""
        return self.card.benchmark_splits == "all"

    @property
    def download_bytes(self) -> int | None:
        """Bytes to fetch; null where the card does not know them all."""
        sizes = [download.size_bytes for download in self.card.downloads]
        known = [size for size in sizes if size is not None]
        return sum(known) if sizes and len(known) == len(sizes) else None


@dataclass(frozen=True)
class Plan:
    """What a recipe would need."""

    recipe: CurateRecipe
    needs: tuple[Need, ...]
    free_bytes: int | None
    """On the disk of the recipe's `data`; null in object storage."""

    @property
    def is_ready(self) -> bool:
        """Whether curation can start, and nothing is named in vain."""
        return bool(self.needs) and not any(need.problem for need in self.needs)


def plan(recipe: CurateRecipe) -> Plan:
    """Say what a recipe would need, from cards and folder names alone.

    Raises:
        RecipeError: a dataset's own card is wrong.
    """
    root = Storage(recipe.data, recipe.cache_folder)
    sources = _sources(root)
    auto = recipe.what.datasets == "auto"
    names = sorted(sources) if auto else tuple(recipe.what.datasets)
    cards = {name: _card(root, name, sources.get(name)) for name in names}
    named = {card.name for name in names if (card := find_card(name))}
    needs = (
        _need(recipe, card, origin, name, sources, named) for name, (card, origin) in cards.items()
    )
    return Plan(recipe, tuple(needs), _free_bytes(recipe))


def _free_bytes(recipe: CurateRecipe) -> int | None:
    if "://" in recipe.data:
        return None
    place = Path(recipe.data).absolute()
    return shutil.disk_usage(next(p for p in (place, *place.parents) if p.is_dir())).free


def _sources(root: Storage) -> dict[str, str]:
    """Names of the datasets below the root → their folder or archive."""
    if not root.exists():
        return {}
    found = {name: name for name in root.folders()}
    for file in root.loose_files():
        suffix = container_suffix(file)
        if suffix is not None:
            found[file[: -len(suffix)]] = file
    return found


def _card(root: Storage, name: str, source: str | None) -> tuple[DatasetCard, CardOrigin]:
    if source == name:
        try:
            own = root.below(source).read_bytes(CARD_NAME).decode()
        except UnreadableImage:
            pass
        else:
            return card_of(name, own, f"{source}/{CARD_NAME}"), "own"
    return card_of(name), "catalog" if find_card(name) else "none"


def _need(
    recipe: CurateRecipe,
    card: DatasetCard,
    origin: CardOrigin,
    name: str,
    sources: dict[str, str],
    named: set[str],
) -> Need:
    refusal = _refusal(recipe, card)
    problem, next_step = _missing(recipe, card, name, sources)
    if refusal is not None:  # nobody should fetch what the recipe keeps out
        problem = f"{refusal}: none of its images gets in"
        next_step = "take it out of what.datasets, or change that rule in what.exclude"
    notes = tuple(_sharing(card, named))
    return Need(card, origin, sources.get(name), refusal, problem, next_step, notes)


def _refusal(recipe: CurateRecipe, card: DatasetCard) -> str | None:
    """Say which rule on cards keeps all of a dataset out; held-out images no rule keeps out."""
    if card.benchmark_splits == "all":
        return None
    said = (RULES[rule]({}, card, recipe.what.exclude) for rule in CARD_RULES)
    return next((detail for detail in said if detail is not None), None)


def _missing(
    recipe: CurateRecipe, card: DatasetCard, name: str, sources: dict[str, str]
) -> tuple[str | None, str | None]:
    if name in sources:
        return None, None
    problem = f"no folder {name} in {recipe.data}"
    known = find_card(name)
    if known is None:
        return f"{problem}, and no card of that name", "see rspipe catalog list"
    other = next((s for s in sorted(sources) if s in card.aliases), None)
    if other is not None:
        return problem, f"name it {other} in the recipe: that folder is there"
    to = recipe.data if "://" not in recipe.data else "FOLDER"
    rename = "" if name == known.name else f", and name it {known.name} in the recipe"
    return problem, f"rspipe catalog fetch {known.name} --to {to}{rename}"


def _sharing(card: DatasetCard, named: set[str]) -> Iterator[str]:
    """Warn of sources that hold pictures of a benchmark."""
    if card.benchmark_splits == "all":
        return
    for other in card.shares_imagery_with:
        if other not in catalog() or not catalog()[other].benchmark_splits:
            continue
        if other in named:
            yield f"shares imagery with {other}, held out here: what matches is dropped"
        else:
            yield f"shares imagery with the benchmark {other}: name it too, to drop what matches"


def tell(plan: Plan) -> list[str]:
    """Tell a plan: a table, what stands in the way, totals, and the next commands."""
    rows = [
        (
            "data set",
            "card",
            "there",
            "images",
            "licence",
            "admitted",
            "role",
            "download",
            "on disk",
        ),
        *(_row(need) for need in plan.needs),
    ]
    lines = [f"{plan.recipe.name}: data sets of {plan.recipe.data}", "", *columns(rows), ""]
    for need in plan.needs:
        lines += [f"{need.card.name}: {note}" for note in (need.problem, *need.notes) if note]
    lines += ["", *_totals(plan), ""]
    return lines + _next(plan)


def _row(need: Need) -> tuple[str, ...]:
    card = need.card
    images = images_of(card)
    return (
        card.name,
        need.card_origin,
        "yes" if need.source else "no",
        UNKNOWN if images is None else f"{images:,}",
        card.licence or UNKNOWN,
        "no" if need.not_admitted else "held out" if need.is_held_out else "yes",
        _role(need),
        _size(need.download_bytes),
        _size(card.size_bytes),
    )


def _size(size_bytes: int | None) -> str:
    return UNKNOWN if size_bytes is None else size(size_bytes)


def _role(need: Need) -> str:
    held_out = need.card.benchmark_splits
    if held_out == "all":
        return "benchmark"
    return f"source, {'/'.join(held_out)} held out" if held_out else "source"


def _totals(plan: Plan) -> Iterator[str]:
    needs = plan.needs
    missing = [need for need in needs if need.source is None]
    held_out = [need for need in needs if need.is_held_out]
    sources = [need for need in needs if not need.is_held_out]
    for label, total in (
        ("images of sources", _sum([images_of(need.card) for need in sources], "{:,}".format)),
        ("images held out", _sum([images_of(need.card) for need in held_out], "{:,}".format)),
        ("missing", f"{len(missing)} of {len(needs)} data sets"),
        ("to download", _sum([need.download_bytes for need in missing], size)),
        ("on disk, unpacked", _sum([need.card.size_bytes for need in needs], size)),
        ("free there", UNKNOWN if plan.free_bytes is None else size(plan.free_bytes)),
    ):
        yield f"{label:<20}{total}"


def _sum(values: Sequence[int | None], write: Callable[[int], str]) -> str:
    known = [value for value in values if value is not None]
    unknown = len(values) - len(known)
    if not unknown:
        return write(sum(known))
    return f"at least {write(sum(known))}; of {unknown} it is unknown" if known else UNKNOWN


def _next(plan: Plan) -> list[str]:
    if plan.is_ready:
        return ["ready: rspipe curate with this recipe"]
    if not plan.needs:
        return [f"next: put data sets below {plan.recipe.data}, one folder each"]
    steps = dict.fromkeys(f"  {n.card.name}: {n.next_step}" for n in plan.needs if n.problem)
    return ["next:", *steps]
