# SPDX-License-Identifier: Apache-2.0
"""A running average of the encoder's weights: what is exported where the recipe asks for it."""

import torch
from torch import Tensor, nn

from rspipe.train.state import gather_whole, spread_like


class Average:
    """Exponential moving average of a module.

    What learns, and floating buffers, are averaged; fixed values such as positions are copied.

    Args:
        module: starts the average with its present values.
        decay: share of itself that the average keeps at each step.

    Source: Polyak & Juditsky 1992; the exponential form as in Tarvainen & Valpola 2017,
        arXiv:1703.01780.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._module = module
        self._values = {name: value.detach().clone() for name, value in _state(module).items()}
        learned = {name for name, p in module.named_parameters() if p.requires_grad}
        floating = {name for name, b in module.named_buffers() if b.is_floating_point()}
        self._averaged = [name for name in self._values if name in learned | floating]

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the module's present values: decay * average + (1 - decay) * value."""
        now = _state(self._module)
        torch._foreach_lerp_(
            [_local(self._values[name]) for name in self._averaged],
            [_local(now[name].detach()) for name in self._averaged],
            1 - self._decay,
        )

    def state(self) -> dict[str, Tensor]:
        """Return all values, whole and on the CPU; with fsdp2 each process must ask."""
        return {name: gather_whole(value) for name, value in self._values.items()}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Take the values of a checkpoint."""
        for name, value in self._values.items():
            value.copy_(spread_like(state[name], value))


def _state(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.state_dict(keep_vars=True))


def _local(value: Tensor) -> Tensor:
    part: Tensor = value.to_local() if hasattr(value, "to_local") else value
    return part
