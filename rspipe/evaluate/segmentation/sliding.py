# SPDX-License-Identifier: Apache-2.0
"""Whole images through a network of fixed size: overlapping windows, logits averaged."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Network = Callable[[Float[Tensor, "B C h w"]], Float[Tensor, "B K h w"]]

WINDOWS_PER_PASS = 8


def starts(size_px: int, window_px: int, stride_px: int) -> list[int]:
    """Place windows along one side: every stride, the last one flush with the end.

    >>> starts(1024, 512, 384), starts(439, 384, 256), starts(300, 512, 384)
    ([0, 384, 512], [0, 55], [0])
    """
    last = max(size_px - window_px, 0)
    return [*range(0, last, stride_px), last]


def slide(
    network: Network, image: Float[Tensor, "C H W"], window_px: int, stride_px: int
) -> Float[Tensor, "K H W"]:
    """Average the logits of all windows over each pixel.

    An image that is smaller than a window is padded with 0 on the right and below, and the
    padding's logits are cut off.

    Args:
        network: window_px squares to logits of the same size.
        image: normalised, so that 0 is the mean colour.
        window_px: side of a window.
        stride_px: step between windows, at most window_px.

    Raises:
        ValueError: the stride leaves gaps.

    Source: mmsegmentation's `slide` mode.
    """
    if not 0 < stride_px <= window_px:
        raise ValueError(f"stride_px={stride_px}: want 1..{window_px}, or windows leave gaps")
    height, width = image.shape[1:]
    padded = F.pad(image, (0, max(window_px - width, 0), 0, max(window_px - height, 0)))
    places = [
        (y, x)
        for y in starts(padded.shape[1], window_px, stride_px)
        for x in starts(padded.shape[2], window_px, stride_px)
    ]
    total: Tensor | None = None
    visits = torch.zeros(padded.shape[1:], device=image.device)
    for first in range(0, len(places), WINDOWS_PER_PASS):
        part = places[first : first + WINDOWS_PER_PASS]
        windows = torch.stack([padded[:, y : y + window_px, x : x + window_px] for y, x in part])
        logits = network(windows)
        if total is None:
            total = logits.new_zeros(logits.shape[1], *padded.shape[1:])
        for (y, x), found in zip(part, logits, strict=True):
            total[:, y : y + window_px, x : x + window_px] += found
            visits[y : y + window_px, x : x + window_px] += 1
    if total is None:
        raise ValueError("an image without a pixel")
    return (total / visits)[:, :height, :width]
