"""`rspipe catalog …`: look into the catalog, plan a corpus, fetch what it needs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rspipe.errors import FetchError

if TYPE_CHECKING:
    from rspipe.io.fetch import FetchOptions
    from rspipe.schema import DatasetCard

catalog_app = typer.Typer(help="Public data sets: list, show, plan, fetch.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@catalog_app.command("list")
def catalog_list(
    task: Annotated[str | None, typer.Option(help="A task, or an annotation: captions.")] = None,
    layout: Annotated[str | None, typer.Option(help="A layout: voc, image_folder.")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX: MIT, 'CC-BY*', unknown.")] = None,
    benchmark: Annotated[bool, typer.Option(help="Only benchmarks, which are held out.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the data sets that the catalog has a card for."""
    from rspipe.catalog import catalog
    from rspipe.catalog.words import select, table

    cards = select(list(catalog().values()), task, layout, licence, benchmark)
    if as_json:
        typer.echo(json.dumps([card.model_dump(mode="json") for card in cards], indent=2))
        return
    for line in table(cards):
        typer.echo(line)
    typer.echo(f"\n{len(cards)} of {len(catalog())} cards; rspipe catalog show NAME tells all")


@catalog_app.command("show")
def catalog_show(
    name: Annotated[str, typer.Argument(help="A card's name, or another name of the set.")],
    as_json: AsJson = False,
) -> None:
    """Tell all that is known of a data set, and what is not."""
    from rspipe.catalog import catalog_card
    from rspipe.catalog.words import describe

    card = catalog_card(name)
    lines = [card.model_dump_json(indent=2)] if as_json else describe(card)
    for line in lines:
        typer.echo(line)


@catalog_app.command("plan")
def catalog_plan(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML recipe of curate.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Say what a recipe needs, without touching data; exit code 1 if something is missing."""
    from rspipe.curate.config import CurateRecipe
    from rspipe.curate.plan import plan, tell
    from rspipe.recipe import load_recipe

    planned = plan(load_recipe(recipe, CurateRecipe, overrides or ()))
    for line in tell(planned):
        typer.echo(line)
    raise typer.Exit(0 if planned.is_ready else 1)


@catalog_app.command("fetch")
def catalog_fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Cards' names.")],
    to: Annotated[Path, typer.Option(help="The folder that gets one folder per data set.")],
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")] = False,
    unpack: Annotated[bool, typer.Option(help="Unpack; curation reads archives, too.")] = True,
    keep_archives: Annotated[bool, typer.Option(help="Keep them as NAME.unpacked.")] = False,
) -> None:
    """Fetch data sets: resumed, verified, unpacked; exit code 1 if something is left to do."""
    from rspipe.catalog import catalog_card
    from rspipe.io.fetch import FetchOptions

    options = FetchOptions(dry_run=dry_run, unpack=unpack, keep_archives=keep_archives)
    cards = [catalog_card(name) for name in names]
    whole = [_fetch_one(card, to / card.name, options) for card in cards]
    raise typer.Exit(0 if all(whole) or dry_run else 1)


def _fetch_one(card: "DatasetCard", folder: Path, options: "FetchOptions") -> bool:
    """Fetch one data set and tell about it; an error there does not stop the next one."""
    from rspipe.io.fetch import fetch

    terms = card.licence_note or card.licence_url or ""
    typer.echo(f"{card.name}: licence {card.licence or 'unknown'}{terms and ' - ' + terms}")
    try:
        deliveries = fetch(card, folder, options)
    except FetchError as error:
        typer.echo(f"  error: {error}", err=True)
        return False
    for delivery in deliveries:
        typer.echo(f"  {delivery.path or folder.name}: {delivery.state}, {delivery.detail}")
        for member, reason in delivery.left_out.items():
            typer.echo(f"    not unpacked: {member}: {reason}", err=True)
    return all(delivery.is_there for delivery in deliveries)
