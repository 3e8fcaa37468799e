# SPDX-License-Identifier: Apache-2.0
"""`rspipe weights …`: look into a checkpoint, bring it in, give an encoder to others."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rspipe.cli.exits import BAD_INPUT, MISSING, USAGE
from rspipe.cli.guide import Guide, new_app, verb
from rspipe.cli.output import Json, emit
from rspipe.errors import RecipeError

if TYPE_CHECKING:
    from rspipe.models.checkpoint import Checkpoint
    from rspipe.models.encoder import Encoder
    from rspipe.models.weights import LoadReport

weights_app = new_app("Weights: show, import, export.")

Source = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="A .pth or .safetensors file, a run, an encoder or a hub's folder."
    ),
]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="A folder that does not exist yet.")]
Under = Annotated[
    str | None, typer.Option("--under", help="The table of a .pth file, e.g. model_ema.")
]
Numbers = Annotated[str | None, typer.Option(help="Per band, of values 0..1: 0.485,0.456,0.406")]


_SHOW = Guide(
    reads="FILE",
    writes="nothing",
    examples=("rspipe weights show data/runs/demo", "rspipe weights show mae.pth --json"),
    codes=(USAGE, MISSING, BAD_INPUT),
)


@verb(weights_app, "show", _SHOW)
def weights_show(source: Source, under: Under = None, as_json: Json = False) -> None:
    """Say whose weights these are, and whether they fit.

    Layout, what becomes of every key, the encoder's shape, and the hash of the file.
    """
    from rspipe.models.checkpoint import open_checkpoint, sha256_of

    checkpoint = open_checkpoint(source, under)
    shape, hashes = _shape(checkpoint), sha256_of(source)
    if as_json:
        emit({"shape": shape, "report": checkpoint.report.as_dict(), "sha256": hashes})
        return
    for name, digest in hashes.items():
        typer.echo(f"sha256 of {name}: {digest}")
    for name, value in shape.items():
        typer.echo(f"{name}: {value}")
    _tell(checkpoint.report)


_IMPORT = Guide(
    reads="FILE",
    writes="OUT: encoder.safetensors, encoder.json, and import.json: where it comes from",
    examples=(
        "rspipe weights import mae.pth data/encoders/mae --heads 12",
        "rspipe weights import selective_mae.pth data/encoders/448 --heads 12 --img-px 448",
    ),
    codes=(USAGE, MISSING, BAD_INPUT),
)


@verb(weights_app, "import", _IMPORT)
def weights_import(
    source: Source,
    out: Out,
    img_px: Annotated[
        str | None, typer.Option(help="Image size wanted, 224 or 224,448: positions follow.")
    ] = None,
    file_px: Annotated[
        str | None, typer.Option(help="Image size of the file, where its grid is not square.")
    ] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads; weights do not tell.")] = None,
    bands: Annotated[
        str | None, typer.Option(help="Names in order: red,green,blue (the default) or others.")
    ] = None,
    band_rule: Annotated[
        Literal["by_name", "repeat"] | None,
        typer.Option(help="Make the weights of other bands: by name, or repeated as timm does."),
    ] = None,
    mean: Numbers = None,
    std: Numbers = None,
    timm_name: Annotated[
        str | None, typer.Option(help="Architecture; with a tag, its mean and std, too.")
    ] = None,
    drop_head: Annotated[bool, typer.Option("--drop-head", help="Leave a classifier out.")] = False,
    plain_norm: Annotated[
        bool, typer.Option("--plain-norm", help="Where there is no final norm, put a plain one.")
    ] = False,
    under: Under = None,
    as_json: Json = False,
) -> None:
    """Make the encoder folder that `rspipe eval` reads.

    What a file cannot tell (heads, mean and spread of the bands) is asked for.
    """
    from rspipe.models.importing import ImportRules, import_encoder
    from rspipe.models.origin import note_import

    rules = ImportRules(
        img_px=_size(img_px, "--img-px"),
        file_px=_size(file_px, "--file-px"),
        heads=heads,
        bands=None if bands is None else tuple(bands.split(",")),
        band_rule=band_rule,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        timm_name=timm_name,
        drop_head=drop_head,
        plain_norm=plain_norm,
        under=under,
    )
    _refuse_full(out)
    encoder = import_encoder(source, rules)
    encoder.save(out)
    note_import(out, source, rules, encoder)
    _told(encoder, out, as_json=as_json)


_EXPORT = Guide(
    reads="RUN",
    writes="OUT: what timm or Hugging Face read",
    examples=(
        "rspipe weights export data/runs/demo data/exported/timm --format timm",
        "rspipe weights export data/runs/demo data/exported/hub --format hugging_face",
    ),
    codes=(USAGE, MISSING, BAD_INPUT),
)


@verb(weights_app, "export", _EXPORT)
def weights_export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run, an encoder, a hub's folder.")],
    out: Out,
    form: Annotated[Literal["timm", "hugging_face"], typer.Option("--format")],
    as_json: Json = False,
) -> None:
    """Write what timm, transformers and the hub read.

    What was written is read again, and its features compared.
    """
    from rspipe.models.hub import export_to_hub
    from rspipe.models.importing import import_encoder
    from rspipe.models.origin import read_origin

    _refuse_full(out)
    if not run.is_dir():
        raise RecipeError(f"{run}: no folder; bring a file in first: rspipe weights import {run} …")
    encoder = import_encoder(run)
    if form == "timm":
        encoder.save(out)
    else:
        export_to_hub(encoder, out, read_origin(run))
    _told(encoder, out, as_json=as_json)


def _shape(checkpoint: "Checkpoint") -> Mapping[str, object]:
    """Tell what the card says, or what the tensors show; heads and statistics they do not."""
    from rspipe.models.shapes import read_shape

    if checkpoint.config is not None:
        return checkpoint.config.model_dump(mode="json")
    return read_shape(checkpoint.encoder, checkpoint.origin)


def _told(encoder: "Encoder", out: Path, *, as_json: bool) -> None:
    report = encoder.report
    if as_json:
        config = encoder.config.model_dump(mode="json")
        emit({"out": str(out), "config": config, "report": report and report.as_dict()})
        return
    if report is not None:
        _tell(report)
    typer.echo(f"wrote {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def _tell(report: "LoadReport") -> None:
    for line in report.lines():
        typer.echo(line)


def _refuse_full(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RecipeError(f"{out} is there already and not empty; name another folder")


def _size(text: str | None, option: str) -> int | tuple[int, int] | None:
    if text is None:
        return None
    try:
        sides = [int(side) for side in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) == 1:
        return sides[0]
    if len(sides) != 2:
        raise RecipeError(f"{option} {text}: want a side in pixels, or HEIGHT,WIDTH")
    return sides[0], sides[1]


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise RecipeError(f"{option} {text}: want numbers, one per band: 0.5,0.5,0.5") from error
