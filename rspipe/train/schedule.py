# SPDX-License-Identifier: Apache-2.0
"""The learning rate at each step."""

import math

MOST_EPOCHS = 2000
"""More than any paper trains for: He et al. 2022 stop at 1,600."""
_USUAL_EPOCHS = 800


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


def warn_of_epochs(steps: int, images_per_step: int, tiles: int) -> str | None:
    """Say that a run sees each tile more often than makes sense, and what would; None if not.

    Args:
        steps: of the whole run.
        images_per_step: images in each.
        tiles: rows of the corpus.

    >>> warn_of_epochs(steps=10_000, images_per_step=256, tiles=100_000)
    >>> warn_of_epochs(steps=10_000, images_per_step=1024, tiles=1_110)
    '9,225 epochs of 1,110 tiles; 800 would be what.steps=867'
    """
    epochs = steps * images_per_step / max(tiles, 1)
    if epochs <= MOST_EPOCHS:
        return None
    usual = max(1, round(_USUAL_EPOCHS * tiles / images_per_step))
    return f"{epochs:,.0f} epochs of {tiles:,} tiles; {_USUAL_EPOCHS} would be what.steps={usual}"


def absolute_lr(base_lr: float, images_per_step: int, lr_scale: float) -> float:
    """Scale a rate per 256 images to the batch, and by what the objective asks for.

    Source: Goyal et al. 2017, arXiv:1706.02677, sec. 2.1.
    """
    return base_lr * images_per_step / 256 * lr_scale
