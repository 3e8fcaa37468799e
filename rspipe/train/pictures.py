"""What the model sees and makes of it, as one picture a person can judge at a glance."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image

from rspipe.models.encoder import Encoder
from rspipe.objectives import Reconstruction

_MARK = np.array([255, 210, 0], dtype=np.uint8)
_GAP_PX = 4
_MIN_TILE_PX = 96


def write_picture(
    path: Path,
    images: torch.Tensor,
    reconstruction: Reconstruction,
    encoder: Encoder,
) -> None:
    """Draw one column per image: original, visible, visible + predicted, predicted patches marked.

    Args:
        path: the PNG to write.
        images: normalised (B, C, H, W); the first three bands are drawn.
        reconstruction: of the same images.
        encoder: knows how the images were normalised.
    """
    original, visible, filled = (
        _to_rgb(encoder.denormalise(x.float().cpu()))
        for x in (images, reconstruction.visible, reconstruction.filled)
    )
    marked = _mark(original, reconstruction.predicted.cpu().numpy(), encoder.config.patch_px)
    rows = [_row(tiles) for tiles in (original, visible, filled, marked)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path)


def _to_rgb(pixels: torch.Tensor) -> UInt8[np.ndarray, "B H W 3"]:
    bands = pixels.permute(0, 2, 3, 1).numpy()[..., :3]
    return bands if bands.shape[-1] == 3 else np.repeat(bands[..., :1], 3, axis=-1)


def _mark(
    tiles: UInt8[np.ndarray, "B H W 3"], predicted: Bool[np.ndarray, "B h w"], patch_px: int
) -> UInt8[np.ndarray, "B H W 3"]:
    """Tint the predicted patches, dim the others."""
    mask = predicted.repeat(patch_px, axis=1).repeat(patch_px, axis=2)[..., None]
    tinted = tiles // 2 + _MARK // 2
    return np.where(mask, tinted, tiles // 3)


def _row(tiles: UInt8[np.ndarray, "B H W 3"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    times = max(1, -(-_MIN_TILE_PX // tiles.shape[1]))
    large = tiles.repeat(times, axis=1).repeat(times, axis=2)
    framed = np.pad(large, ((0, 0), (0, _GAP_PX), (0, _GAP_PX), (0, 0)), constant_values=255)
    return np.concatenate(list(framed), axis=1)
