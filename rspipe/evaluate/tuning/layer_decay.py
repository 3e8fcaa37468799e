# SPDX-License-Identifier: Apache-2.0
"""Layer-wise learning rates for fine-tuning an encoder.

timm's `param_groups_layer_decay` puts the final norm and the last block into one layer
(timm 1.0.31), so all its multipliers for plain transformers are one power higher than the
published recipes'.
"""

import re
from typing import Any

from timm.models import group_parameters

from rspipe.models.backbone import Backbone

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


def layers_of(encoder: Backbone) -> tuple[dict[str, int], int]:
    """Number the layer of each of its parameters, by name, and the layer behind the last block.

    Plain transformers: see `layer_of`. Others: as timm groups them, what belongs to no group last.
    """
    trunk, prefix = encoder.trunk, _prefix_of(encoder)
    names = [name.removeprefix(prefix) for name, _ in encoder.named_parameters()]
    if encoder.is_columnar:
        depth = len(encoder.stages)
        return {name: layer_of(name, depth) for name in names}, depth + 1
    matcher: Any = trunk.group_matcher
    groups = group_parameters(trunk, matcher(coarse=False), reverse=True)
    last = max(groups.values()) + 1
    return {name: groups.get(name, last) for name in names}, last


def _prefix_of(encoder: Backbone) -> str:
    return next(name for name, part in encoder.named_children() if part is encoder.trunk) + "."


def layer_decay_groups(
    encoder: Backbone, decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Group an encoder's trainable parameters for an optimiser.

    Each group has `params`, `lr_scale` = decay^(layer behind the last block − layer) and
    `weight_decay`, which is 0 for tensors of one dimension, the position table and tokens of the
    model's own. A head behind the encoder has lr_scale 1.

    Args:
        encoder: a plain transformer, or any other of timm's.
        decay: the rate of a layer over that of the layer behind it.
        weight_decay: of matrices.

    Source: Bao et al. 2022 (BEiT), arXiv:2106.08254, app. G, as He et al. 2022,
    arXiv:2111.06377, table 9, use it.
    """
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    layers, last = layers_of(encoder)
    prefix = _prefix_of(encoder)
    for full_name, parameter in encoder.named_parameters():
        if not parameter.requires_grad:
            continue
        name = full_name.removeprefix(prefix)
        layer = layers[name]
        bare = parameter.ndim <= 1 or name.endswith(("pos_embed", "cls_token", "reg_token"))
        group = groups.setdefault(
            (layer, bare),
            {
                "params": [],
                "lr_scale": decay ** (last - layer),
                "weight_decay": 0.0 if bare else weight_decay,
            },
        )
        group["params"].append(parameter)
    return list(groups.values())
