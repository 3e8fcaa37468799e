# SPDX-License-Identifier: Apache-2.0
"""Who learns how fast, and what decays."""

from typing import Any

import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from torch import Tensor, nn

from rspipe.objectives import Objective
from rspipe.train.config import PretrainWhat

_ENCODER = "encoder.vit."
# Tokens have the shape of matrices and are none.
_TOKENS = ("cls_token", "mask_token")


class AdamW(torch.optim.AdamW):
    """AdamW, fused: one kernel for all parameters, which can leave a step out.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
    """

    found_inf: Tensor
    """On the parameters' device; where it is 1, `step` changes nothing."""


def make_optimiser(objective: Objective, what: PretrainWhat) -> AdamW:
    """Prepare the optimiser of a run."""
    groups = parameter_groups(objective, what)
    return AdamW(groups, lr=what.base_lr, betas=what.betas, fused=True)


def parameter_groups(objective: Objective, what: PretrainWhat) -> list[dict[str, Any]]:
    """Group what learns; a group's rate is the run's times its `lr_scale`, where it has one.

    Weight decay is on matrices only. With `layer_decay` d, the encoder's last block and final norm
    learn at the full rate, as do the decoder and all else, and each layer before by a factor of
    d less, the embedding slowest (timm's rule).

    Source: He et al. 2022, arXiv:2111.06377, app. A.1; Bao et al. 2022, arXiv:2106.08254.
    """
    if what.layer_decay is None:
        return _by_decay(objective, what.weight_decay)
    encoder: list[dict[str, Any]] = param_groups_layer_decay(
        objective.encoder.vit,
        weight_decay=what.weight_decay,
        no_weight_decay_list=_TOKENS,
        layer_decay=what.layer_decay,
    )
    # timm's function groups the encoder alone.
    rest = _Rest({n: p for n, p in objective.named_parameters() if not n.startswith(_ENCODER)})
    return [*encoder, *_by_decay(rest, what.weight_decay)]


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give each group its share of a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def _by_decay(module: Any, weight_decay: float) -> list[dict[str, Any]]:
    bare = [name for name, _ in module.named_parameters() if name.endswith(_TOKENS)]
    groups: list[dict[str, Any]] = param_groups_weight_decay(
        module, weight_decay, no_weight_decay_list=bare
    )
    return groups


class _Rest:
    """Some parameters of a module, by their names, for functions that ask a module for them."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        self._parameters = parameters

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        return list(self._parameters.items())
