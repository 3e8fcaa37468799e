"""`rspipe catalog …`: look into the catalog, plan a corpus, fetch what it needs."""

import json
from typing import Annotated

import typer

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
