"""`rspipe corpus …`: look into a packed corpus, check it, export it, draw a smaller one from it."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

corpus_app = typer.Typer(help="Look into a packed corpus, export it.", no_args_is_help=True)

CorpusPath = Annotated[Path, typer.Argument(metavar="CORPUS", help="A corpus folder.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="A folder that does not exist yet.")]
Names = Annotated[list[str] | None, typer.Option(help="May be given several times.")]


@corpus_app.command("verify")
def corpus_verify(corpus: CorpusPath) -> None:
    """Check every checksum and decode every image."""
    from rspipe.corpus.verify import verify

    typer.echo(f"{corpus}: {verify(corpus):,} tiles, all sound")


@corpus_app.command("show")
def corpus_show(
    corpus: CorpusPath,
    name: Annotated[str, typer.Argument(help="A tile id, or part of a source path.")],
) -> None:
    """Tell what became of an image or a tile, from the ledger."""
    from rspipe.corpus.reader import Corpus
    from rspipe.corpus.story import tell

    for line in tell(Corpus.open(corpus), name):
        typer.echo(line)


@corpus_app.command("browse")
def corpus_browse(
    corpus: CorpusPath,
    out: Annotated[
        Path | None, typer.Option(help="The page; else browser.html in the corpus.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Tiles and dropped files to draw at most.")] = 8_000,
    seed: Annotated[int, typer.Option(help="Same seed, same draw, on any machine.")] = 0,
) -> None:
    """Write one HTML page to look through a corpus: filters, pictures, the story of each tile."""
    from rspipe.report.browser.build import build_browser

    build_browser(corpus, out, rows, seed)


@corpus_app.command("stats")
def corpus_stats(
    corpus: CorpusPath,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count tiles and bytes by source, licence, size and ground resolution."""
    from rspipe.corpus.stats import describe, lines

    stats = describe(corpus)
    typer.echo(json.dumps(stats, indent=2) if as_json else "\n".join(lines(stats)))


@corpus_app.command("export")
def corpus_export(
    corpus: CorpusPath,
    out: Out,
    form: Annotated[
        Literal["webdataset", "image_folder", "hugging_face"], typer.Option("--format")
    ],
) -> None:
    """Write WebDataset tars, an image folder, or a Hugging Face folder with Croissant metadata."""
    from rspipe.corpus.export import export

    typer.echo(f"wrote {out}: {export(corpus, out, form):,} tiles")


@corpus_app.command("subset")
def corpus_subset(
    corpus: CorpusPath,
    out: Out,
    source: Names = None,
    licence: Names = None,
    redistributable: Annotated[bool, typer.Option(help="Only what may be passed on.")] = False,
    min_gsd_m: Annotated[float | None, typer.Option(help="Finest resolution, metres.")] = None,
    max_gsd_m: Annotated[float | None, typer.Option(help="Coarsest resolution, metres.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of what passes, drawn.")] = None,
    count: Annotated[int | None, typer.Option(help="Exactly so many of what passes.")] = None,
    by: Annotated[Literal["tile", "image"], typer.Option(help="What is drawn.")] = "tile",
    seed: Annotated[int, typer.Option(help="Same seed, same draw, on any machine.")] = 0,
) -> None:
    """Draw a smaller corpus, e.g. --count 4000000 --seed 0; its ledger says why the rest is out."""
    from rspipe.corpus.subset import SubsetRule, subset
    from rspipe.recipe import validate

    rule = {
        **{"sources": source, "licences": licence, "redistributable": redistributable},
        **{"min_gsd_m": min_gsd_m, "max_gsd_m": max_gsd_m, "fraction": fraction},
        **{"count": count, "by": by, "seed": seed},
    }
    tiles = subset(corpus, out, validate(rule, SubsetRule, "subset"))
    typer.echo(f"wrote {out}: {tiles:,} tiles")
