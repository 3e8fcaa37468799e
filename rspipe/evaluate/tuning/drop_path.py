# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth for fine-tuning an encoder that was built without it."""

from timm.layers import DropPath
from torch import nn

_NAMES = ("drop_path", "drop_path1", "drop_path2", "drop_path3")


def set_drop_path(trunk: nn.Module, rate: float) -> None:
    """Let blocks drop their branches in training, from rate 0 at the first to `rate` at the last.

    Args:
        trunk: a module of timm's; blocks that know no stochastic depth keep all branches.
        rate: of the last block.

    Source: Huang et al. 2016, arXiv:1603.09382, linear decay rule, as timm applies it.
    """
    blocks = [part for part in trunk.modules() if _branches(part)]
    last = max(len(blocks) - 1, 1)
    for number, block in enumerate(blocks):
        for name in _branches(block):
            setattr(block, name, DropPath(rate * number / last))


def _branches(block: nn.Module) -> list[str]:
    """Names of the places where a block may drop a branch; ResNet has None there."""
    return [name for name in _NAMES if isinstance(getattr(block, name, 0), nn.Module | None)]
