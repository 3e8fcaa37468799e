"""`rspipe duplicates` and `rspipe audit`: verbs that work on anything, without a recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        help="Folders, archives, Parquet or WebDataset files, URLs, catalog names; "
        "TARGET::train is one split.",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for pairs, clusters and the gallery.")]
Data = Annotated[
    Path | None, typer.Option(envvar="RSPIPE_DATA", help="Folder with data sets of the catalog.")
]
Bits = Annotated[int, typer.Option(min=0, max=16, help="Largest distance of two hashes.")]
Similarity = Annotated[
    float | None,
    typer.Option(help="Least likeness of two thumbnails; default: 0.985, for an audit 0.95."),
]
Turned = Annotated[bool, typer.Option("--orientations/--no-orientations", help="All 8 turns.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0: one per core, 1: only this one.")]
Fail = Annotated[bool, typer.Option("--fail-on-hit", help="Exit with 1 if anything is found.")]


class SeveralAgainst(TyperCommand):
    """Lets `--against` take several values: `--against a b c` is `--against a --against b …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option's name before each of its values."""
        return super().parse_args(ctx, repeated(args, "--against"))


def repeated(args: Sequence[str], option: str) -> list[str]:
    """Repeat an option before each of the values that follow it.

    >>> repeated(["t", "--against", "a", "b", "--out", "o"], "--against")
    ['t', '--against', 'a', '--against', 'b', '--out', 'o']
    """
    done: list[str] = []
    inside = False
    for arg in args:
        if arg == option:
            inside = True
            continue
        if arg.startswith("-"):
            inside = False
        done += [option, arg] if inside else [arg]
    return done


def duplicates(
    targets: Targets,
    out: Out,
    data: Data = None,
    max_hamming_bits: Bits = 4,
    min_similarity: Similarity = None,
    orientations: Turned = True,
    workers: Workers = 0,
    fail_on_hit: Fail = False,
) -> None:
    """Find the pictures that are the same: by bytes, by pixels, or nearly, in all 8 turns."""
    from rspipe.curate.audit import search
    from rspipe.curate.config import DedupConfig

    rules = DedupConfig()
    settings = _settings(rules, out, data, max_hamming_bits, min_similarity, orientations, workers)
    _finish(search.duplicates(targets, settings).duplicates, out, fail_on_hit)


def audit(
    targets: Targets,
    against: Annotated[
        list[str], typer.Option(metavar="BENCHMARK...", help="As TARGET; several are allowed.")
    ],
    out: Out,
    data: Data = None,
    max_hamming_bits: Bits = 4,
    min_similarity: Similarity = None,
    orientations: Turned = True,
    workers: Workers = 0,
    fail_on_hit: Fail = False,
) -> None:
    """Find benchmark pictures in TARGET: what a model trained on it has seen of the test."""
    from rspipe.curate.audit import search
    from rspipe.curate.config import DedupConfig, LeakageConfig

    rules = LeakageConfig().rules(DedupConfig())
    settings = _settings(rules, out, data, max_hamming_bits, min_similarity, orientations, workers)
    _finish(search.audit(targets, against, settings).duplicates, out, fail_on_hit)


def register(app: typer.Typer) -> None:
    """Add the two verbs to the command line."""
    app.command("duplicates")(duplicates)
    app.command("audit", cls=SeveralAgainst)(audit)


def _settings(
    default: Any,
    out: Path,
    data: Path | None,
    max_hamming_bits: int,
    min_similarity: float | None,
    orientations: bool,
    workers: int,
) -> Any:
    from rspipe.curate.audit.search import SearchSettings
    from rspipe.curate.config import CurateHow

    match = default.model_copy(
        update={
            "max_hamming_bits": max_hamming_bits,
            "min_similarity": default.min_similarity if min_similarity is None else min_similarity,
            "orientations": orientations,
        }
    )
    return SearchSettings(out, data, match, CurateHow(workers=workers, dashboard=False))


def _finish(found: int, out: Path, fail_on_hit: bool) -> None:
    from rspipe.report.gallery import build_gallery

    typer.echo(f"look at {build_gallery(out)}")
    if fail_on_hit and found:
        raise typer.Exit(1)
