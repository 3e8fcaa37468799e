# SPDX-License-Identifier: Apache-2.0
"""The shape of a vision transformer, read off its tensors."""

import math
import re
from collections.abc import Mapping, Sequence

import timm
from pydantic import ValidationError

from rspipe.errors import WeightsError
from rspipe.models.encoder import EncoderConfig
from rspipe.models.weights import State

# Width: (heads, timm's name). How many heads share the width leaves no trace in the weights.
# Source: Dosovitskiy et al. 2021, arXiv:2010.11929, table 1; Touvron et al. 2021,
# arXiv:2012.12877, table 1 (tiny, small); Zhai et al. 2022, arXiv:2106.04560, table 2 (giant).
KNOWN_WIDTHS = {
    192: (3, "vit_tiny_patch16_224"),
    384: (6, "vit_small_patch16_224"),
    768: (12, "vit_base_patch16_224"),
    1024: (16, "vit_large_patch16_224"),
    1280: (16, "vit_huge_patch14_224"),
    1408: (16, "vit_giant_patch14_224"),
}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RGB = ("red", "green", "blue")


def infer_config(
    state: State,
    origin: str,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    bands: Sequence[str] = RGB,
    heads: int | None = None,
    img_px: int | tuple[int, int] | None = None,
    timm_name: str | None = None,
) -> EncoderConfig:
    """Read width, depth, MLP ratio, patch, bands and image size off the tensors of an encoder.

    Args:
        state: by timm's names.
        origin: where they come from, for the message.
        mean: per band, of values scaled to 0..1; the weights do not tell.
        std: likewise.
        bands: their names, in the order of the patch embedding.
        heads: None: as in the published transformer of that width.
        img_px: image size that the table of positions is for; None: the grid is square.
        timm_name: of the architecture; None: the plain transformer of that width.

    Raises:
        WeightsError: a tensor that tells the shape is absent or of another kind, or the weights
            leave open what was not given.
    """
    shape = read_shape(state, origin)
    refuse_other_count(shape["in_chans"], bands, origin)
    known_heads, known_name = KNOWN_WIDTHS.get(shape["width"], (None, "vit_base_patch16_224"))
    heads = heads or known_heads
    if heads is None:
        raise WeightsError(
            f"{origin}: width {shape['width']} is of no published transformer, and weights do not "
            "tell the number of attention heads; give it (--heads)"
        )
    fields = {
        "timm_name": timm_name or known_name,
        "img_px": img_px or _square_px(shape["patches"], shape["patch_px"], origin),
        "patch_px": shape["patch_px"],
        "width": shape["width"],
        "depth": shape["depth"],
        "heads": heads,
        "mlp_ratio": shape["mlp_width"] / shape["width"],
        "in_chans": shape["in_chans"],
        "bands": tuple(bands),
        "mean": tuple(mean),
        "std": tuple(std),
    }
    config = checked_config(origin, fields)
    if config.patches != shape["patches"]:
        raise WeightsError(
            f"{origin}: pos_embed has {shape['patches']} positions besides the class token's, "
            f"images of {config.img_px} px have {config.patches} patches"
        )
    return config


def read_shape(state: State, origin: str) -> dict[str, int]:
    """Read what the tensors of an encoder show of its shape.

    Args:
        state: by timm's names.
        origin: where they come from, for the message.

    Raises:
        WeightsError: a tensor that tells the shape is absent or of another kind.
    """
    patch = _shape(state, "patch_embed.proj.weight", 4, origin)
    _shape(state, "cls_token", 3, origin)
    if patch[2] != patch[3]:
        raise WeightsError(f"{origin}: patches of {patch[2]} x {patch[3]} px; want square ones")
    return {
        "width": patch[0],
        "depth": _depth(state, origin),
        "mlp_width": _shape(state, "blocks.0.mlp.fc1.weight", 2, origin)[0],
        "patch_px": patch[2],
        "in_chans": patch[1],
        "patches": _shape(state, "pos_embed", 3, origin)[1] - 1,
    }


def timm_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation that timm notes for pretrained weights, named with their tag.

    >>> timm_statistics("vit_base_patch16_224.augreg_in21k")
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    >>> timm_statistics("vit_base_patch16_224") is None
    True
    """
    if "." not in name:
        return None  # the architecture alone: its weights differ in how they were trained
    try:
        config = timm.models.get_pretrained_cfg(name)
    except RuntimeError:
        return None
    return None if config is None else (tuple(config.mean), tuple(config.std))


def refuse_other_count(in_chans: int, bands: Sequence[str], origin: str) -> None:
    """Refuse names of bands that are not as many as the patch embedding reads.

    Raises:
        WeightsError: saying how bands are named or made.
    """
    if in_chans != len(bands):
        raise WeightsError(
            f"{origin}: the patch embedding reads {in_chans} bands, {len(bands)} are named "
            f"({', '.join(bands)}); name the file's bands in its order (--bands), or say how to "
            "make the weights of other bands (--band-rule)"
        )


def _shape(state: State, name: str, dimensions: int, origin: str) -> tuple[int, ...]:
    if name not in state:
        raise WeightsError(
            f"{origin}: missing: {name}, which tells the shape of a vision transformer with a "
            "class token"
        )
    shape = tuple(state[name].shape)
    if len(shape) != dimensions:
        raise WeightsError(f"{origin}: wrong shape: {name} {shape}, want {dimensions} dimensions")
    return shape


def _depth(state: State, origin: str) -> int:
    found = (re.match(r"blocks\.(\d+)\.", name) for name in state)
    numbers = {int(match[1]) for match in found if match}
    depth = max(numbers, default=-1) + 1
    absent = sorted(set(range(depth)) - numbers)
    if absent or not depth:
        raise WeightsError(f"{origin}: missing: blocks {absent} of {depth}")
    return len(numbers)


def _square_px(patches: int, patch_px: int, origin: str) -> int:
    side = math.isqrt(max(patches, 0))
    if side**2 != patches and math.isqrt(patches + 1) ** 2 == patches + 1:
        raise WeightsError(
            f"{origin}: pos_embed has {patches + 1} positions, a square grid of patches and none "
            "for the class token (as DeiT III); such encoders are not read"
        )
    if not side or side**2 != patches:
        raise WeightsError(
            f"{origin}: pos_embed has {patches} positions besides the class token's, which is no "
            "square grid; give the file's image size (--file-px HEIGHT,WIDTH)"
        )
    return side * patch_px


def checked_config(origin: str, fields: Mapping[str, object]) -> EncoderConfig:
    """Build a config from values that came with weights.

    Raises:
        WeightsError: naming what is impossible.
    """
    try:
        return EncoderConfig.model_validate(fields)
    except ValidationError as error:
        causes = "; ".join(str(e["msg"]).removeprefix("Value error, ") for e in error.errors())
        raise WeightsError(f"{origin}: {causes}") from error
