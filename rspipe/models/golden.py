# SPDX-License-Identifier: Apache-2.0
"""The golden-feature check: weights prove by use that they are those that their card describes.

A made image, the same everywhere, goes through the encoder when it is written; a few of its
features are noted in the card and computed again when it is read. So a file that was swapped, cut,
or is standardised otherwise is refused, and so is a program that computes something else.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rspipe.errors import WeightsError

Golden = dict[str, list[float]]

# Features of the made image may differ by the order of float32 sums, not by more. Of the largest
# feature, or of 1: encoders without layer scale may have features in the tens.
GOLDEN_TOLERANCE = 1e-4
_VALUES = 32


def made_image(size_px: tuple[int, int], bands: int) -> UInt8[Tensor, "1 C H W"]:
    """Make the image: stripes and a fine texture, other in each band, 0..255."""
    height, width = size_px
    c, y, x = torch.meshgrid(
        torch.arange(bands), torch.arange(height), torch.arange(width), indexing="ij"
    )
    return ((7 * y + 13 * x + 29 * c + (x * y) % 31) % 256).to(torch.uint8)[None]


def summarise(tokens: Float[Tensor, "1 T D"]) -> Golden:
    """Take the first values of the class token, and of the mean and deviation of the patches."""
    return {
        "class_token": tokens[0, 0, :_VALUES].tolist(),
        "patch_mean": tokens[0, 1:].mean(0)[:_VALUES].tolist(),
        "patch_std": tokens[0, 1:].std(0)[:_VALUES].tolist(),
    }


def check_golden(found: Golden, noted: Mapping[str, Sequence[float]], origin: str) -> None:
    """Compare features with those that a card notes.

    Args:
        found: computed now.
        noted: in the card.
        origin: the weights, for the message.

    Raises:
        WeightsError: they are not noted, or differ by more than rounding.
    """
    for name, values in found.items():
        want = noted.get(name, ())
        if len(want) != len(values):
            cause = "are not noted in the card"
        else:
            apart = [abs(a - b) for a, b in zip(values, want, strict=True)]
            allowed = GOLDEN_TOLERANCE * max(1.0, *map(abs, want))
            if all(value <= allowed for value in apart):  # not so for what is no number
                continue
            cause = f"differ by {max(apart):.1e}, allowed {allowed:.0e}"
        raise WeightsError(
            f"{origin}: {name} features of the made image {cause}; the weights, or the mean, std "
            "or bands in the card, are not of one run or were changed since; write them anew, "
            "with pre-training or `rspipe weights`"
        )
