# SPDX-License-Identifier: Apache-2.0
"""LARS: SGD with momentum whose step is scaled to the size of each weight matrix."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Lars(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling, as the linear probes of masked autoencoders use it.

    Per tensor of two or more dimensions: g ← g + decay · w, then g ← trust · ‖w‖ / ‖g‖ · g
    (unscaled where either norm is 0). Tensors of one dimension are neither decayed nor scaled.
    Then v ← momentum · v + g and w ← w − lr · v.

    Args:
        params: tensors or parameter groups.
        lr: learning rate.
        momentum: of v, which begins at 0.
        trust: relative size of a step at lr 1.
        weight_decay: of matrices.

    Source: You et al. 2017, arXiv:1708.03888, algorithm 1. Differs, as the probes of He et al.
    2022 (arXiv:2111.06377, table 10) do: the rate enters outside the momentum, and one-dimensional
    tensors are left out.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.9,
        trust: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "trust": trust, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every tensor that has a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for tensor in group["params"]:
                if tensor.grad is not None:
                    self._move(tensor, tensor.grad, group)
        return loss

    def _move(self, tensor: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if tensor.ndim > 1:
            gradient = gradient + group["weight_decay"] * tensor
            weight_norm, gradient_norm = tensor.norm(), gradient.norm()
            ratio = group["trust"] * weight_norm / gradient_norm
            defined = (weight_norm > 0) & (gradient_norm > 0)
            gradient = gradient * torch.where(defined, ratio, torch.ones_like(ratio))
        state = self.state[tensor]
        velocity = state.setdefault("velocity", torch.zeros_like(tensor))
        velocity.mul_(group["momentum"]).add_(gradient)
        tensor.sub_(velocity, alpha=group["lr"])
