# SPDX-License-Identifier: Apache-2.0
"""From a released checkpoint to an encoder: every change is asked for, and reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from timm.models import adapt_input_conv
from torch import Tensor

from rspipe.errors import RecipeError, WeightsError
from rspipe.models.checkpoint import Checkpoint, open_checkpoint
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.models.positions import resize_positions
from rspipe.models.released import ENCODER, LAYOUTS
from rspipe.models.shapes import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    KNOWN_WIDTHS,
    RGB,
    checked_config,
    infer_config,
    read_shape,
    refuse_other_count,
    timm_statistics,
)
from rspipe.models.weights import LoadReport, load_strictly

BandRule = Literal["by_name", "repeat"]

_HEAD = ("head.", "fc_norm.")
_PATCHES = "patch_embed.proj.weight"
_POSITIONS = "pos_embed"
# Our encoder and timm's own forward pass add the same float32 numbers, in another order. A share
# of the largest feature: any other architecture is off by far more.
_SAME_FEATURES = 1e-3


@dataclass(frozen=True)
class ImportRules:
    """What the file does not say, and what may be changed; nothing is changed by default."""

    img_px: int | tuple[int, int] | None = None
    """Image size wanted; positions are interpolated to its grid. None: as in the file."""
    file_px: int | tuple[int, int] | None = None
    """Image size that the file's positions are for, where their grid is not square."""
    heads: int | None = None
    bands: tuple[str, ...] | None = None
    """Names of the bands wanted, in order; without a rule, those of the file."""
    band_rule: BandRule | None = None
    """by_name: pick and reorder the file's bands by name. repeat: repeat the file's bands in a
    ring and scale the weights by their share, as timm does for other numbers of bands."""
    mean: tuple[float, ...] | None = None
    """Per band wanted, of values scaled to 0..1."""
    std: tuple[float, ...] | None = None
    timm_name: str | None = None
    """Architecture, where it is not the plain transformer; with a tag, also the statistics."""
    drop_head: bool = False
    """Leave a classifier out."""
    plain_norm: bool = False
    """Where the final norm is missing, put one with gain 1 and bias 0."""
    under: str | None = None
    """The table of a .pth file to read, e.g. model_ema."""


@dataclass
class _Parts:
    """An encoder's tensors on their way in, by timm's names, with what was done to them."""

    state: dict[str, Tensor]
    dropped: dict[str, str] = field(default_factory=dict)
    filled: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)


def import_encoder(path: Path, rules: ImportRules | None = None) -> Encoder:
    """Read an encoder from a released checkpoint, a folder of ours, or a hub's folder.

    What became of each key stands in `encoder.report`, by the file's names. The result is compared
    with timm's own forward pass on a made image, so that an architecture that we would compute
    otherwise than timm is refused.

    Args:
        path: see `open_checkpoint`.
        rules: what the file does not say, and what may be changed; None: nothing.

    Raises:
        WeightsError: the file is unreadable or of no known layout, a key is missing, unexpected
            or of the wrong shape, something is not known that must be given, what is given
            contradicts the file, or timm computes other features.
    """
    rules = rules or ImportRules()
    checkpoint = open_checkpoint(path, rules.under)
    parts = _Parts(dict(checkpoint.encoder), dropped=dict(checkpoint.report.dropped))
    _drop_decoder(checkpoint, parts)
    _drop_head(checkpoint.origin, parts, rules)
    _fill_norm(checkpoint, parts, rules)
    config = _file_config(checkpoint, parts, rules)
    config = _change_bands(checkpoint.origin, parts, config, rules)
    config = _resize(checkpoint.origin, parts, config, rules)
    encoder = _encoder(config, checkpoint.origin)
    found = load_strictly(encoder.vit, parts.state, checkpoint.origin)
    _compare_with_timm(encoder, checkpoint.origin)
    encoder.report = _report(checkpoint, parts, found)
    return encoder.eval()


def _drop_decoder(checkpoint: Checkpoint, parts: _Parts) -> None:
    theirs = {new: old for old, new in checkpoint.report.renamed.items()}
    for name in checkpoint.state:
        if not name.startswith(ENCODER):
            parts.dropped[theirs.get(name, name)] = "of the decoder; an encoder has none"


def _drop_head(origin: str, parts: _Parts, rules: ImportRules) -> None:
    heads = [name for name in parts.state if name.startswith(_HEAD)]
    if heads and not rules.drop_head:
        raise WeightsError(
            f"{origin}: unexpected: {', '.join(heads)}: the file holds a classifier, an encoder "
            "has none; leave it out with --drop-head"
        )
    for name in heads:
        del parts.state[name]
        parts.dropped[name] = "of the classifier; dropped as asked"


def _fill_norm(checkpoint: Checkpoint, parts: _Parts, rules: ImportRules) -> None:
    """Put a plain final norm where the file has none and may have none."""
    layout = LAYOUTS.get(checkpoint.report.layout)
    none_learned = layout is not None and not layout.has_final_norm
    names = [name for name in ("norm.weight", "norm.bias") if name not in parts.state]
    if not names:
        return
    if not (none_learned or rules.plain_norm):
        raise WeightsError(
            f"{checkpoint.origin}: missing: {', '.join(names)}: the file has no final norm (a "
            "fine-tuned model may keep one of its own as fc_norm); put a plain one with "
            "--plain-norm, and use features from before it"
        )
    why = f"layout {checkpoint.report.layout} trains none" if none_learned else "as asked"
    width = read_shape(parts.state, checkpoint.origin)["width"]
    for name in names:
        parts.state[name] = torch.ones(width) if name == "norm.weight" else torch.zeros(width)
        parts.filled[name] = f"plain norm, gain 1, bias 0: {why}"


def _file_config(checkpoint: Checkpoint, parts: _Parts, rules: ImportRules) -> EncoderConfig:
    """Tell shape and statistics of what the file holds, before any change."""
    if checkpoint.config is not None:
        _refuse_contradiction(checkpoint.origin, checkpoint.config, rules)
        return checkpoint.config
    bands = _file_bands(checkpoint.origin, parts, rules)
    mean, std = _statistics(checkpoint, parts, rules, len(bands))
    config = infer_config(
        parts.state,
        checkpoint.origin,
        mean=mean,
        std=std,
        bands=bands,
        heads=rules.heads,
        img_px=rules.file_px,
        timm_name=rules.timm_name,
    )
    if rules.heads is None:
        name = KNOWN_WIDTHS[config.width][1]
        parts.assumed["heads"] = f"{config.heads}, as in {name}: weights do not tell"
    return config


def _file_bands(origin: str, parts: _Parts, rules: ImportRules) -> tuple[str, ...]:
    """Name the bands of a bare file: as given, or red, green and blue."""
    # With a rule, those given are what the rule shall make.
    bands = rules.bands if rules.bands and not rules.band_rule else RGB
    if bands is not rules.bands:
        parts.assumed["bands"] = f"{', '.join(bands)}: the file does not say"
    patches = parts.state.get(_PATCHES)
    if patches is not None and patches.ndim == 4:
        refuse_other_count(patches.shape[1], bands, origin)
    return bands


def _refuse_contradiction(origin: str, config: EncoderConfig, rules: ImportRules) -> None:
    """What a card says of the weights is no matter of choice."""
    says: dict[str, tuple[object, object]] = {
        "heads": (rules.heads, config.heads),
        "file_px": (rules.file_px, config.img_px),
        "timm_name": (rules.timm_name, config.timm_name),
    }
    if rules.band_rule is None:
        says |= {
            "bands": (rules.bands, config.bands),
            "mean": (rules.mean, config.mean),
            "std": (rules.std, config.std),
        }
    wrong = [
        f"{name}={given}, its card says {own}"
        for name, (given, own) in says.items()
        if given is not None and given != own
    ]
    if wrong:
        raise WeightsError(f"{origin}: {'; '.join(wrong)}; leave them out")


def _statistics(
    checkpoint: Checkpoint, parts: _Parts, rules: ImportRules, bands: int
) -> tuple[Sequence[float], Sequence[float]]:
    """Find mean and deviation of the file's bands: given, known, or an error."""
    if (rules.mean is None) != (rules.std is None):
        raise WeightsError(f"{checkpoint.origin}: give both --mean and --std, or neither")
    if rules.mean is not None and rules.std is not None:
        # A rule makes other bands; these are the statistics of those.
        kept = rules.band_rule is None
        return (rules.mean, rules.std) if kept else ((0.5,) * bands, (0.5,) * bands)
    noted = timm_statistics(rules.timm_name or "")
    if noted is not None:
        parts.assumed["mean, std"] = f"{noted}: as timm notes for {rules.timm_name}"
        return noted
    layout = LAYOUTS.get(checkpoint.report.layout)
    if layout is not None and layout.statistics_known and bands == 3:
        parts.assumed["mean, std"] = "ImageNet's: the published recipe of this layout"
        return IMAGENET_MEAN, IMAGENET_STD
    raise WeightsError(
        f"{checkpoint.origin}: the weights do not tell how their images were standardised, and a "
        "wrong guess spoils every score; give --mean and --std per band, of values scaled to "
        "0..1: 0.485,0.456,0.406 and 0.229,0.224,0.225 (ImageNet's: MAE, DeiT, DINO), "
        "0.5,0.5,0.5 twice (Google's), or timm's name with its tag (--timm-name)"
    )


def _change_bands(
    origin: str, parts: _Parts, config: EncoderConfig, rules: ImportRules
) -> EncoderConfig:
    """Make the patch embedding read other bands, by an explicit rule only."""
    if rules.band_rule is None:
        return config
    if rules.bands is None:
        raise WeightsError(f"{origin}: --band-rule {rules.band_rule} wants --bands")
    weight = parts.state[_PATCHES]
    if rules.band_rule == "by_name":
        unknown = [band for band in rules.bands if band not in config.bands]
        if unknown:
            raise WeightsError(
                f"{origin}: the file reads {', '.join(config.bands)}, not {', '.join(unknown)}; "
                "--band-rule repeat makes weights for other bands"
            )
        index = [config.bands.index(band) for band in rules.bands]
        weight = weight[:, index]
        mean, std = ([values[i] for i in index] for values in (config.mean, config.std))
    else:
        if rules.mean is None or rules.std is None:
            raise WeightsError(f"{origin}: --band-rule repeat wants --mean and --std of the bands")
        weight = adapt_input_conv(len(rules.bands), weight, base_chans=len(config.bands))
        mean, std = [], []
    parts.state[_PATCHES] = weight.contiguous()
    parts.changed[_PATCHES] = f"bands {rules.band_rule}: {', '.join(rules.bands)}"
    fields = config.model_dump() | {
        "in_chans": len(rules.bands),
        "bands": rules.bands,
        "mean": rules.mean or tuple(mean),
        "std": rules.std or tuple(std),
    }
    return checked_config(origin, fields)


def _resize(origin: str, parts: _Parts, config: EncoderConfig, rules: ImportRules) -> EncoderConfig:
    """Interpolate the positions to the image size that is asked for."""
    if rules.img_px is None:
        return config
    wanted = checked_config(origin, config.model_dump() | {"img_px": rules.img_px})
    if wanted.grid != config.grid:
        table = parts.state[_POSITIONS]
        parts.state[_POSITIONS] = resize_positions(table, config.grid, wanted.grid)
        parts.changed[_POSITIONS] = f"interpolated from grid {config.grid} to {wanted.grid}"
    return wanted


def _encoder(config: EncoderConfig, origin: str) -> Encoder:
    try:
        return Encoder(config)
    except RecipeError as error:
        raise WeightsError(f"{origin}: {error}") from error


@torch.no_grad()
def _compare_with_timm(encoder: Encoder, origin: str) -> None:
    """Refuse an architecture with parts that our forward pass does not know."""
    image = encoder.made_image()
    encoder.eval()
    ours, timms = encoder.tokens(image, final_norm=True), encoder.vit.forward_features(image)
    worst = float((ours - timms).abs().max())
    if not worst <= _SAME_FEATURES * max(1.0, float(timms.abs().max())):
        raise WeightsError(
            f"{origin}: timm's {encoder.config.timm_name} computes features that differ from ours "
            f"by {worst:.1e}; it is no plain vision transformer"
        )


def _report(checkpoint: Checkpoint, parts: _Parts, found: LoadReport) -> LoadReport:
    """Tell of each key by the file's own name."""
    theirs = {new.removeprefix(ENCODER): old for old, new in checkpoint.report.renamed.items()}
    matched = {theirs.get(n, n): n for n in found.matched if n not in parts.filled}
    return replace(
        found,
        matched=tuple(matched),
        renamed={old: new for old, new in matched.items() if old != new},
        dropped=parts.dropped,
        filled=parts.filled,
        changed=_all_changes(checkpoint, matched, parts, theirs),
        assumed=parts.assumed,
        layout=checkpoint.report.layout,
    )


def _all_changes(
    checkpoint: Checkpoint, matched: Mapping[str, str], parts: _Parts, theirs: Mapping[str, str]
) -> dict[str, str]:
    """Tell what happened to values on reading, and after it."""
    changed = {name: how for name, how in checkpoint.report.changed.items() if name in matched}
    for name, how in parts.changed.items():
        old = theirs.get(name, name)
        changed[old] = f"{changed[old]}; {how}" if old in changed else how
    return changed
