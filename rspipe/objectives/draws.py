# SPDX-License-Identifier: Apache-2.0
"""Randomness that belongs to an image, not to a batch.

Each number is a hash of the run's seed, the image's place in the endless stream of images, the
number of the draw, and the column. So masks are the same however a step is cut into passes,
processes or devices, and there is no generator whose state would have to be saved.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

# 2**64 / golden ratio, as a signed number: what SplitMix64 adds for each next number.
_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


class Draws:
    """Uniform numbers for some images; each call gives new ones.

    Args:
        seed: of the run, or of whatever the numbers are for.
        places: one whole number per image; equal places draw equal numbers. The device of
            `places` is where the numbers are made; they are the same on every device.

    >>> half = Draws(seed=0, places=torch.tensor([4, 5])).uniform(3)
    >>> whole = Draws(seed=0, places=torch.tensor([3, 4, 5, 6])).uniform(3)
    >>> torch.equal(half, whole[1:3])
    True
    """

    def __init__(self, seed: int, places: Int[Tensor, " B"]) -> None:
        # Filled on the device: a number sent to a GPU would stop the host until all work is done.
        start = torch.full((), seed, dtype=torch.int64, device=places.device)
        self._keys = mixed(mixed(start) + places * _GAMMA)
        self._calls = 0

    def uniform(self, count: int) -> Float[Tensor, "B count"]:
        """Draw `count` numbers in [0, 1) per image, multiples of 2**-24."""
        self._calls += 1
        keys = mixed(self._keys + torch.full_like(self._keys, self._calls) * _GAMMA)
        steps = torch.arange(1, count + 1, device=keys.device) * _GAMMA
        bits = mixed(keys[:, None] + steps)
        return ((bits >> 40) & 0xFFFFFF).float() * 2.0**-24


def mixed(state: Int[Tensor, "*S"]) -> Int[Tensor, "*S"]:
    """Scatter the bits of 64-bit states; overflow wraps, as it should.

    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators" (the
        finaliser of SplitMix64).
    """
    state = (state ^ _shifted(state, 30)) * _FIRST
    state = (state ^ _shifted(state, 27)) * _SECOND
    return state ^ _shifted(state, 31)


def _shifted(state: Int[Tensor, "*S"], bits: int) -> Int[Tensor, "*S"]:
    """Shift right as if unsigned."""
    shifted: Tensor = (state >> bits) & (2 ** (64 - bits) - 1)
    return shifted
