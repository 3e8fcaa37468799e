# SPDX-License-Identifier: Apache-2.0
"""`rspipe corpus …`: look into a packed corpus, check it, export it, draw a smaller one from it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rspipe.cli.completion import corpora
from rspipe.cli.exits import BAD_INPUT, FOUND, USAGE
from rspipe.cli.guide import Guide, new_app, verb
from rspipe.cli.output import Json, emit, told_aside
from rspipe.progress import counted

corpus_app = new_app("A packed corpus: verify, show, browse, stats, export, subset.")

CorpusPath = Annotated[
    Path,
    typer.Argument(metavar="CORPUS", help="A corpus folder.", autocompletion=corpora),
]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="A folder that does not exist yet.")]
Names = Annotated[list[str] | None, typer.Option(help="May be given several times.")]


_ALL = "the whole corpus: manifest, shards, ledger"

_VERIFY = Guide(
    reads=_ALL,
    writes="nothing",
    examples=(
        "rspipe corpus verify data/corpus/demo",
        "rspipe corpus verify data/corpus/demo --json",
    ),
    codes=(FOUND, BAD_INPUT),
)


@verb(corpus_app, "verify", _VERIFY)
def corpus_verify(corpus: CorpusPath, as_json: Json = False) -> None:
    """Check every checksum and decode every image.

    JSON: the number of tiles, and what is wrong (null: nothing).
    """
    from rspipe.corpus.verify import verify
    from rspipe.errors import CorpusDamaged

    try:
        tiles = verify(corpus)
    except CorpusDamaged as damage:
        if not as_json:
            raise
        emit({"corpus": str(corpus), "is_sound": False, "tiles": None, "damage": str(damage)})
        raise typer.Exit(FOUND) from damage
    if as_json:
        emit({"corpus": str(corpus), "is_sound": True, "tiles": tiles, "damage": None})
    else:
        typer.echo(f"{corpus}: {counted(tiles, 'tile')}, all sound")


_SHOW = Guide(
    reads="the ledger; of kept tiles label, objects and date from the shards",
    writes="nothing",
    examples=(
        "rspipe corpus show data/corpus/demo gallery/turned_90",
        "rspipe corpus show data/corpus/demo gallery/turned_90 --json",
    ),
    codes=(BAD_INPUT,),
)


@verb(corpus_app, "show", _SHOW)
def corpus_show(
    corpus: CorpusPath,
    name: Annotated[str, typer.Argument(help="A tile id, or part of a source path.")],
    as_json: Json = False,
) -> None:
    """Tell what became of an image or a tile, from the ledger.

    JSON: its rows of the ledger, without pixel measures.
    """
    from rspipe.corpus.reader import Corpus
    from rspipe.corpus.story import find, tell

    opened = Corpus.open(corpus)
    if as_json:
        emit(find(opened, name))
        return
    for line in tell(opened, name):
        typer.echo(line)


_BROWSE = Guide(
    reads=_ALL,
    writes="one self-contained page: OUT, else browser.html in the corpus",
    examples=(
        "rspipe corpus browse data/corpus/demo",
        "rspipe corpus browse data/corpus/demo --out page.html --rows 500",
        "rspipe corpus browse data/corpus/demo --json",
    ),
    codes=(BAD_INPUT,),
)


@verb(corpus_app, "browse", _BROWSE)
def corpus_browse(
    corpus: CorpusPath,
    out: Annotated[
        Path | None, typer.Option(help="The page; else browser.html in the corpus.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Tiles and dropped files to draw at most.")] = 8_000,
    seed: Annotated[int, typer.Option(help="Same seed, same draw, on any machine.")] = 0,
    as_json: Json = False,
) -> None:
    """Write one HTML page to look through a corpus.

    Filters, pictures, and the story of each tile. JSON: where the page is, and its size.
    """
    from rspipe.report.browser.build import build_browser

    with told_aside(as_json):
        page = build_browser(corpus, out, rows, seed)
    if as_json:
        emit({"corpus": str(corpus), "page": str(page), "size_bytes": page.stat().st_size})


_STATS = Guide(
    reads="manifest and shards, without pictures",
    writes="nothing",
    examples=(
        "rspipe corpus stats data/corpus/demo",
        "rspipe corpus stats data/corpus/demo --json",
    ),
    codes=(BAD_INPUT,),
)


@verb(corpus_app, "stats", _STATS)
def corpus_stats(corpus: CorpusPath, as_json: Json = False) -> None:
    """Count tiles and bytes by source, licence, size and ground resolution."""
    from rspipe.corpus.stats import describe, lines

    stats = describe(corpus)
    if as_json:
        emit(stats)
    else:
        typer.echo("\n".join(lines(stats)))


_EXPORT = Guide(
    reads=_ALL,
    writes="OUT, which must not exist",
    examples=(
        "rspipe corpus export data/corpus/demo data/exported --format webdataset",
        "rspipe corpus export data/corpus/demo data/hub --format hugging_face",
    ),
    codes=(USAGE, BAD_INPUT),
)


@verb(corpus_app, "export", _EXPORT)
def corpus_export(
    corpus: CorpusPath,
    out: Out,
    form: Annotated[
        Literal["webdataset", "image_folder", "hugging_face"], typer.Option("--format")
    ],
) -> None:
    """Write a corpus in another form.

    WebDataset tars, an image folder, or a Hugging Face folder with Croissant metadata.
    """
    from rspipe.corpus.export import export

    typer.echo(f"wrote {out}: {counted(export(corpus, out, form), 'tile')}")


_SUBSET = Guide(
    reads=_ALL,
    writes="OUT, which must not exist: a corpus, whose ledger says why the rest is out",
    examples=(
        "rspipe corpus subset data/corpus/demo data/corpus/demo_100 --count 100 --seed 0",
        "rspipe corpus subset data/corpus/demo data/corpus/demo_free --redistributable",
    ),
    codes=(USAGE, BAD_INPUT),
)


@verb(corpus_app, "subset", _SUBSET)
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
    """Draw a smaller corpus, by rule or at random.

    The same seed draws the same tiles, on any machine.
    """
    from rspipe.corpus.subset import SubsetRule, subset
    from rspipe.recipe import validate

    rule = {
        **{"sources": source, "licences": licence, "redistributable": redistributable},
        **{"min_gsd_m": min_gsd_m, "max_gsd_m": max_gsd_m, "fraction": fraction},
        **{"count": count, "by": by, "seed": seed},
    }
    tiles = subset(corpus, out, validate(rule, SubsetRule, "subset"))
    typer.echo(f"wrote {out}: {counted(tiles, 'tile')}")
