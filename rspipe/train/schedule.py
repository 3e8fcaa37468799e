# SPDX-License-Identifier: Apache-2.0
"""The learning rate at each step."""

import math


def learning_rate(step: int, steps: int, warmup_fraction: float, peak: float) -> float:
    """Rise linearly to the peak, then fall to zero by half a cosine.

    Args:
        step: steps done before this one, 0..steps - 1.
        steps: length of the run.
        warmup_fraction: share of the run that rises.
        peak: the largest rate.

    >>> [round(learning_rate(s, 10, 0.2, 1.0), 2) for s in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.04]

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle. Differs: the first step already
        learns.
    """
    warmup = round(steps * warmup_fraction)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def absolute_lr(base_lr: float, images_per_step: int, lr_scale: float) -> float:
    """Scale a rate per 256 images to the batch, and by what the objective asks for.

    Source: Goyal et al. 2017, arXiv:1706.02677, sec. 2.1.
    """
    return base_lr * images_per_step / 256 * lr_scale
