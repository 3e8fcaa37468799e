"""Layer-wise learning rates for fine-tuning a vision transformer.

timm's `param_groups_layer_decay` puts the final norm and the last block into one layer
(timm 1.0.31), so all its multipliers are one power higher than the published recipes'.
"""

import re
from typing import Any

from torch import nn

_BLOCK = re.compile(r"^blocks\.(\d+)\.")
_STEM = re.compile(r"^(patch_embed|cls_token|reg_token|pos_embed|mask_token|norm_pre)\b")


def layer_of(name: str, depth: int) -> int:
    """Say at which depth a parameter stands: 0 the stem, b + 1 block b, depth + 1 all behind.

    >>> [layer_of(n, 12) for n in ("pos_embed", "blocks.0.attn.qkv.weight", "norm.weight")]
    [0, 1, 13]
    """
    block = _BLOCK.match(name)
    if block is not None:
        return int(block[1]) + 1
    return 0 if _STEM.match(name) else depth + 1


def layer_decay_groups(
    vit: nn.Module, depth: int, decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Group a transformer's trainable parameters for an optimiser.

    Each group has `params`, `lr_scale` = decay^(depth + 1 − layer) and `weight_decay`, which is 0
    for tensors of one dimension, the position table and the class token. A head behind the
    encoder has lr_scale 1.

    Args:
        vit: a timm vision transformer.
        depth: its number of blocks.
        decay: the rate of a layer over that of the layer behind it.
        weight_decay: of matrices.

    Source: Bao et al. 2022 (BEiT), arXiv:2106.08254, app. G, as He et al. 2022,
    arXiv:2111.06377, table 9, use it.
    """
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in vit.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = layer_of(name, depth)
        bare = parameter.ndim <= 1 or name.endswith(("pos_embed", "cls_token", "reg_token"))
        group = groups.setdefault(
            (layer, bare),
            {
                "params": [],
                "lr_scale": decay ** (depth + 1 - layer),
                "weight_decay": 0.0 if bare else weight_decay,
            },
        )
        group["params"].append(parameter)
    return list(groups.values())
