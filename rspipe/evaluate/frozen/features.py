# SPDX-License-Identifier: Apache-2.0
"""Frozen features: an image is decoded once and seen by every encoder of its size in one pass.

Classification reads `tokens.py`. For dense tasks tokens are those after the encoder's final
LayerNorm; images of any size and shape are resized (bilinear, antialiased) to tiles x img_px,
cut into tiles of img_px that the encoder reads one by one and whose token grids are joined
again. So no position is interpolated, and a tile sees nothing of its neighbours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from rspipe.errors import UnreadableImage
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.frozen.tokens import FrozenTokens
from rspipe.io.images import decode, to_rgb
from rspipe.models.backbone import Backbone
from rspipe.progress import track
from rspipe.schema import Task


@dataclass(frozen=True)
class Features:
    """What one encoder makes of the images of a benchmark, in the benchmark's order."""

    sizes_px: Int[np.ndarray, "n 2"]
    """Height and width of the images as published."""
    input_px: tuple[int, int]
    """Height and width to which the images were resized, all tiles together."""
    grids: Float[Tensor, "n D h w"] = field(default_factory=lambda: torch.empty(0))
    """Dense tasks: a map of patch tokens per image, on the CPU."""
    images: FrozenTokens = field(default_factory=lambda: FrozenTokens(np.empty((0, 1, 1)), ()))
    """Classification: tokens and pooled vectors of whole images."""


@dataclass(frozen=True)
class Extraction:
    """Features of one benchmark by every encoder asked for."""

    benchmark: Benchmark
    """With the images that could be read."""
    features: Mapping[str, Features]
    """By encoder label."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Paths that could not be read, and why."""


@dataclass(frozen=True)
class _Batch:
    positions: list[int]
    pixels: UInt8[np.ndarray, "B H W 3"]
    sizes_px: list[tuple[int, int]]


def extract(
    benchmark: Benchmark,
    encoders: Mapping[str, Backbone],
    what: What,
    batch: int,
    device: torch.device,
) -> Extraction:
    """Decode the images of a dense benchmark once and encode them by every encoder.

    Args:
        benchmark: images that neither train nor are scored are left out.
        encoders: by label; images are decoded once for all of one size.
        what: tiling.
        batch: inputs per forward pass.
        device: where the encoders are.
    """
    found: dict[str, Features] = {}
    for size_px in dict.fromkeys(encoder.config.size_px for encoder in encoders.values()):
        of_size = {k: e for k, e in encoders.items() if e.config.size_px == size_px}
        made = _extract(benchmark, of_size, _tiles(benchmark.task, what), batch, device)
        found.update(made.features)
    return Extraction(made.benchmark, found, made.unreadable)


def _extract(
    benchmark: Benchmark,
    encoders: Mapping[str, Backbone],
    tiles: int,
    batch: int,
    device: torch.device,
) -> Extraction:
    """Encode by encoders of one image size."""
    height, width = next(iter(encoders.values())).config.size_px
    input_px = (height * tiles, width * tiles)
    unreadable: dict[str, str] = {}
    found: dict[str, list[Tensor]] = {label: [] for label in encoders}
    positions: list[int] = []
    sizes: list[tuple[int, int]] = []
    images_per_batch = max(1, batch // tiles**2)
    for part in _batches(benchmark, input_px, images_per_batch, unreadable):
        positions += part.positions
        sizes += part.sizes_px
        for label, encoder in encoders.items():
            found[label].append(token_grids(encoder, part.pixels, tiles, device))
    sizes_px = np.array(sizes, dtype=np.int64).reshape(-1, 2)
    features = {
        label: Features(
            grids=torch.cat(parts) if parts else torch.empty(0),
            sizes_px=sizes_px,
            input_px=input_px,
        )
        for label, parts in found.items()
    }
    kept = benchmark.keep(np.array(positions, dtype=np.int64))
    return Extraction(kept, features, unreadable)


@torch.inference_mode()
def token_grids(
    encoder: Backbone, pixels: UInt8[np.ndarray, "B H W 3"], tiles: int, device: torch.device
) -> Float[Tensor, "B D h w"]:
    """Encode images tile by tile and join the tokens into one map per image."""
    h, w = encoder.config.grid
    inputs = encoder.preprocess(cut_tiles(pixels, tiles)).to(device)
    tokens = encoder.patch_tokens(inputs, final_norm=True).float().cpu()
    grid = tokens.reshape(len(pixels), tiles, tiles, h, w, -1)
    # image, tile row, tile column, row, column, width -> image, width, rows, columns
    joined = grid.permute(0, 5, 1, 3, 2, 4).reshape(len(pixels), -1, tiles * h, tiles * w)
    return joined.contiguous()


def cut_tiles(pixels: UInt8[np.ndarray, "B H W 3"], tiles: int) -> UInt8[np.ndarray, "T h w 3"]:
    """Cut images into tiles x tiles equal parts, image after image, row after row."""
    count, height, width, bands = pixels.shape
    h, w = height // tiles, width // tiles
    parts = pixels.reshape(count, tiles, h, tiles, w, bands).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(parts.reshape(count * tiles**2, h, w, bands))


def _tiles(task: Task, what: What) -> int:
    """Tiles per side in which images of a task are encoded."""
    return what.linear_detector.tiles if task == "detection" else 1


def _batches(
    benchmark: Benchmark, size_px: tuple[int, int], most: int, unreadable: dict[str, str]
) -> Iterator[_Batch]:
    """Yield the readable images in order, resized; the others are noted in `unreadable`."""
    positions: list[int] = []
    pixels: list[np.ndarray] = []
    sizes: list[tuple[int, int]] = []
    for position in track(benchmark.used().tolist(), f"{benchmark.name}: encode", unit="image"):
        path = benchmark.records[position].source_path
        try:
            image = to_rgb(decode(benchmark.storage.read_bytes(path), path))
        except (UnreadableImage, OSError) as error:
            unreadable[path] = error.reason if isinstance(error, UnreadableImage) else str(error)
            continue
        positions.append(position)
        pixels.append(resize(image, size_px))
        sizes.append((image.shape[0], image.shape[1]))
        if len(positions) == most:
            yield _Batch(positions, np.stack(pixels), sizes)
            positions, pixels, sizes = [], [], []
    if positions:
        yield _Batch(positions, np.stack(pixels), sizes)


def resize(
    image: UInt8[np.ndarray, "H W 3"], size_px: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """Resize to (height, width), bilinear and antialiased; the shape may be stretched."""
    if image.shape[:2] == size_px:
        return image
    height, width = size_px
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
