# SPDX-License-Identifier: Apache-2.0
"""`rspipe duplicates` and `rspipe audit`: verbs that work on anything, without a recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from rspipe.cli.completion import corpora
from rspipe.cli.exits import BAD_INPUT, FOUND, INTERRUPTED, USAGE
from rspipe.cli.guide import Guide, verb
from rspipe.cli.output import DryRun, Json, emit, emit_preview, told_aside

if TYPE_CHECKING:
    from rspipe.curate.audit.search import SearchSettings
    from rspipe.curate.audit.summary import Counted
    from rspipe.curate.config import DedupConfig

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET",
        help="Folders, archives, Parquet or WebDataset files, URLs, catalog names; "
        "TARGET::train is one split.",
        autocompletion=corpora,
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


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    verb(app, "duplicates", _DUPLICATES)(duplicates)
    verb(app, "audit", _AUDIT, cls=SeveralAgainst)(audit)


_WRITES = "OUT: pairs.parquet, clusters.parquet, files.parquet, summary.json, gallery.html, stages/"
_CODES = (FOUND, USAGE, BAD_INPUT, INTERRUPTED)

_DUPLICATES = Guide(
    reads="every picture of the targets, once: what was measured before is taken from OUT/stages",
    writes=_WRITES,
    examples=(
        "rspipe duplicates data/demo/native/demo_chips --out data/copies --dry-run",
        "rspipe duplicates data/demo/native/demo_chips --out data/copies",
        "rspipe duplicates photos.zip more/ --out data/copies --json --fail-on-hit",
    ),
    codes=_CODES,
)


def duplicates(
    targets: Targets,
    out: Out,
    data: Data = None,
    max_hamming_bits: Bits = 4,
    min_similarity: Similarity = None,
    orientations: Turned = True,
    workers: Workers = 0,
    fail_on_hit: Fail = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find the pictures that are the same.

    By bytes, by pixels, or nearly, in all 8 flips and quarter turns.
    JSON: the summary that stands in OUT/summary.json, and the gallery's place.
    """
    from rspipe.curate.config import DedupConfig

    rules = DedupConfig()
    settings = _settings(rules, out, data, max_hamming_bits, min_similarity, orientations, workers)
    if dry_run:
        from rspipe.curate.audit.preview import preview

        emit_preview(lambda: preview(targets, (), settings), as_json=as_json)
        return
    from rspipe.curate.audit import search

    with told_aside(as_json):
        found = search.duplicates(targets, settings)
    _finish(found, out, fail_on_hit=fail_on_hit, as_json=as_json)


_AUDIT = Guide(
    reads="every picture of targets and benchmarks, once: what was measured before is taken from "
    "OUT/stages",
    writes=_WRITES,
    examples=(
        "rspipe audit data/demo/native/demo_chips --against data/demo/native/demo_landcover "
        "--out data/audit",
        "rspipe audit data/corpus/demo --against dior dota --data /datasets --out data/audit",
        "rspipe audit train.zip --against test.zip --out data/audit --json --fail-on-hit",
    ),
    codes=_CODES,
)


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
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find the pictures of benchmarks in TARGET.

    That is what a model trained on TARGET has seen of the test.
    JSON: the summary that stands in OUT/summary.json, and the gallery's place.
    """
    from rspipe.curate.config import DedupConfig, LeakageConfig

    rules = LeakageConfig().rules(DedupConfig())
    settings = _settings(rules, out, data, max_hamming_bits, min_similarity, orientations, workers)
    if dry_run:
        from rspipe.curate.audit.preview import preview

        emit_preview(lambda: preview(targets, against, settings), as_json=as_json)
        return
    from rspipe.curate.audit import search

    with told_aside(as_json):
        found = search.audit(targets, against, settings)
    _finish(found, out, fail_on_hit=fail_on_hit, as_json=as_json)


def _settings(
    default: "DedupConfig",
    out: Path,
    data: Path | None,
    max_hamming_bits: int,
    min_similarity: float | None,
    orientations: bool,
    workers: int,
) -> "SearchSettings":
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


def _finish(found: "Counted", out: Path, *, fail_on_hit: bool, as_json: bool) -> None:
    from rspipe.report.gallery import build_gallery

    gallery = build_gallery(out)
    if as_json:
        emit(found.summary | {"duplicate_pairs": found.duplicates, "gallery": str(gallery)})
    else:
        typer.echo(f"look at {gallery}")
    if fail_on_hit and found.duplicates:
        raise typer.Exit(FOUND)
