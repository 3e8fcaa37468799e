# SPDX-License-Identifier: Apache-2.0
"""`rspipe catalog …`: look into the catalog, plan a corpus, fetch what it needs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rspipe.cli.completion import card_names, recipes
from rspipe.cli.exits import BAD_INPUT, FOUND, INTERRUPTED, USAGE
from rspipe.cli.guide import Guide, new_app, verb
from rspipe.cli.output import DryRun, Json, emit, told_aside
from rspipe.errors import FetchError

if TYPE_CHECKING:
    from rspipe.curate.plan import Need
    from rspipe.io.fetch import Delivery, FetchOptions
    from rspipe.schema import DatasetCard

catalog_app = new_app("Public data sets: list, show, plan, fetch.")

_LIST = Guide(
    reads="the cards that ship with rspipe",
    writes="nothing",
    examples=(
        "rspipe catalog list",
        "rspipe catalog list --task detection --licence 'CC-BY*'",
        "rspipe catalog list --benchmark --json",
    ),
    codes=(USAGE,),
)


@verb(catalog_app, "list", _LIST)
def catalog_list(
    task: Annotated[str | None, typer.Option(help="A task, or an annotation: captions.")] = None,
    layout: Annotated[str | None, typer.Option(help="A layout: voc, image_folder.")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX: MIT, 'CC-BY*', unknown.")] = None,
    benchmark: Annotated[bool, typer.Option(help="Only benchmarks, which are held out.")] = False,
    as_json: Json = False,
) -> None:
    """List the data sets that have a card. JSON: the cards."""
    from rspipe.catalog import catalog
    from rspipe.catalog.words import select, table

    cards = select(list(catalog().values()), task, layout, licence, benchmark)
    if as_json:
        emit([card.model_dump(mode="json") for card in cards])
        return
    for line in table(cards):
        typer.echo(line)
    typer.echo(f"\n{len(cards)} of {len(catalog())} cards; rspipe catalog show NAME tells all")


_SHOW = Guide(
    reads="the cards that ship with rspipe",
    writes="nothing",
    examples=("rspipe catalog show loveda", "rspipe catalog show NWPU-RESISC45 --json"),
    codes=(USAGE,),
)


@verb(catalog_app, "show", _SHOW)
def catalog_show(
    name: Annotated[
        str,
        typer.Argument(
            help="A card's name, or another name of the set.", autocompletion=card_names
        ),
    ],
    as_json: Json = False,
) -> None:
    """Tell what is known of a data set, and what is not. JSON: its card."""
    from rspipe.catalog import catalog_card
    from rspipe.catalog.words import describe

    card = catalog_card(name)
    if as_json:
        emit(card.model_dump(mode="json"))
        return
    for line in describe(card):
        typer.echo(line)


_PLAN = Guide(
    reads="the recipe, cards, and the names in its data folder",
    writes="nothing",
    examples=(
        "rspipe catalog plan pipelines/opticalrs_13m/curate.yaml",
        "rspipe catalog plan pipelines/demo/curate.yaml --json",
    ),
    codes=(FOUND, USAGE),
)


@verb(catalog_app, "plan", _PLAN)
def catalog_plan(
    recipe: Annotated[
        Path,
        typer.Argument(metavar="RECIPE", help="A YAML recipe of curate.", autocompletion=recipes),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Instead of the recipe's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a recipe of curate needs: data sets, rights, disk.

    No data is touched. Exit code 1: something is missing.
    JSON: whether it is ready, and one entry per data set.
    """
    from rspipe.curate.config import CurateRecipe
    from rspipe.curate.plan import plan, tell
    from rspipe.recipe import load_recipe

    planned = plan(load_recipe(recipe, CurateRecipe, overrides or ()))
    if as_json:
        needs = [_need(need) for need in planned.needs]
        free = planned.free_bytes
        emit({"is_ready": planned.is_ready, "free_bytes": free, "needs": needs})
    else:
        for line in tell(planned):
            typer.echo(line)
    raise typer.Exit(0 if planned.is_ready else FOUND)


def _need(need: "Need") -> dict[str, Any]:
    """Say what a data set needs, with of its card no more than name and licence."""
    said = {key: value for key, value in vars(need).items() if key != "card"}
    counted = {"download_bytes": need.download_bytes, "is_held_out": need.is_held_out}
    return {"name": need.card.name, "licence": need.card.licence} | said | counted


_FETCH = Guide(
    reads="the addresses in the cards",
    writes="one folder per data set below TO, each with fetched.yaml, which says what came whence",
    examples=(
        "rspipe catalog fetch loveda --to data/native --dry-run",
        "rspipe catalog fetch eurosat dubai_seg --to data/native",
    ),
    codes=(FOUND, USAGE, BAD_INPUT, INTERRUPTED),
)


@verb(catalog_app, "fetch", _FETCH)
def catalog_fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Cards' names.", autocompletion=card_names),
    ],
    to: Annotated[Path, typer.Option(help="The folder that gets one folder per data set.")],
    dry_run: DryRun = False,
    unpack: Annotated[bool, typer.Option(help="Unpack; curation reads archives, too.")] = True,
    keep_archives: Annotated[bool, typer.Option(help="Keep them as NAME.unpacked.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch data sets: resumed, retried, verified, unpacked.

    What a person must fetch is told. Exit code 1: something is left to do. JSON: what became of
    every file.
    """
    from rspipe.catalog import catalog_card
    from rspipe.io.fetch import FetchOptions

    options = FetchOptions(dry_run=dry_run, unpack=unpack, keep_archives=keep_archives)
    cards = [catalog_card(name) for name in names]
    found = {}
    with told_aside(as_json):
        for card in cards:
            found[card.name] = _fetch_one(card, to / card.name, options)
    if as_json:
        emit({name: [asdict(one) for one in each or ()] for name, each in found.items()})
    whole = [each is not None and all(one.is_there for one in each) for each in found.values()]
    raise typer.Exit(0 if all(whole) or dry_run else FOUND)


def _fetch_one(
    card: "DatasetCard", folder: Path, options: "FetchOptions"
) -> "list[Delivery] | None":
    """Fetch one data set and tell about it; after an error, None: the next one is still fetched."""
    from rspipe.io.fetch import fetch

    terms = card.licence_note or card.licence_url or ""
    typer.echo(f"{card.name}: licence {card.licence or 'unknown'}{terms and ' - ' + terms}")
    try:
        deliveries = fetch(card, folder, options)
    except FetchError as error:
        typer.echo(f"  error: {error}", err=True)
        return None
    for delivery in deliveries:
        typer.echo(f"  {delivery.path or folder.name}: {delivery.state}, {delivery.detail}")
        for member, reason in delivery.left_out.items():
            typer.echo(f"    not unpacked: {member}: {reason}", err=True)
    return deliveries
