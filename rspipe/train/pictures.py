# SPDX-License-Identifier: Apache-2.0
"""What the model sees and makes of it, as one picture a person can judge at a glance."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image

from rspipe.models.encoder import Encoder
from rspipe.objectives import Plan, Reconstruction

IGNORED, SEED, VISIBLE, PREDICTED = range(4)
"""What a plan makes of a patch. A seed is visible and was chosen before the others."""

COLOURS = np.array([(0, 0, 0), (86, 180, 233), (0, 158, 115), (240, 200, 0)], dtype=np.uint8)
"""By role; chosen to differ for the colour-blind, too (Okabe & Ito 2008)."""
_GAP_PX = 4
_MIN_TILE_PX = 96


def write_picture(
    path: Path,
    images: torch.Tensor,
    reconstruction: Reconstruction,
    roles: Int[np.ndarray, "B h w"],
    encoder: Encoder,
) -> None:
    """Draw one column per image: original, visible, visible + predicted, and what was chosen.

    In the last row seeds are blue, other visible patches green, predicted ones yellow, and
    ignored ones dark.

    Args:
        path: the PNG to write.
        images: normalised (B, C, H, W); the first three bands are drawn.
        reconstruction: of the same images.
        roles: of their patches, as `roles_of` says.
        encoder: knows how the images were normalised.
    """
    original, visible, filled = (
        _to_rgb(encoder.denormalise(x.float().cpu()))
        for x in (images, reconstruction.visible, reconstruction.filled)
    )
    marked = mark_roles(original, roles, encoder.config.patch_px)
    rows = [_row(tiles) for tiles in (original, visible, filled, marked)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path)


def roles_of(plan: Plan, views: int, seeds: int, grid: tuple[int, int]) -> Int[np.ndarray, "B h w"]:
    """Say what became of each patch in the first view of each image.

    Args:
        plan: of all views.
        views: masked views of an image.
        seeds: how many of the kept patches, the first ones, were chosen before the others.
        grid: patches down and across.
    """
    keep, predict = (ids[::views].cpu().numpy() for ids in (plan.ids_keep, plan.ids_predict))
    roles = np.full((len(keep), *grid), IGNORED)
    flat = roles.reshape(len(keep), -1)
    np.put_along_axis(flat, predict, PREDICTED, axis=1)
    np.put_along_axis(flat, keep, VISIBLE, axis=1)
    np.put_along_axis(flat, keep[:, :seeds], SEED, axis=1)
    return roles


def _to_rgb(pixels: torch.Tensor) -> UInt8[np.ndarray, "B H W 3"]:
    bands = pixels.permute(0, 2, 3, 1).numpy()[..., :3]
    return bands if bands.shape[-1] == 3 else np.repeat(bands[..., :1], 3, axis=-1)


def mark_roles(
    tiles: UInt8[np.ndarray, "B H W 3"], roles: Int[np.ndarray, "B h w"], patch_px: int
) -> UInt8[np.ndarray, "B H W 3"]:
    """Tint each patch by its role, half and half with `COLOURS`.

    Args:
        tiles: H and W are those of the grid times the patch.
        roles: as `roles_of` says.
        patch_px: side of a patch.
    """
    tints = COLOURS[roles].repeat(patch_px, axis=1).repeat(patch_px, axis=2)
    marked: UInt8[np.ndarray, "B H W 3"] = tiles // 2 + tints // 2
    return marked


def _row(tiles: UInt8[np.ndarray, "B H W 3"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    times = max(1, -(-_MIN_TILE_PX // tiles.shape[1]))
    large = tiles.repeat(times, axis=1).repeat(times, axis=2)
    framed = np.pad(large, ((0, 0), (0, _GAP_PX), (0, _GAP_PX), (0, 0)), constant_values=255)
    return np.concatenate(list(framed), axis=1)
