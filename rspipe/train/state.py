# SPDX-License-Identifier: Apache-2.0
"""The state of a run as whole tensors on the CPU, however many processes share it.

So a checkpoint does not know how many processes wrote it, and any number can read it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor, distribute_tensor

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def gather_state(module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Collect weights and moments by name; with fsdp2 each process must ask.

    Returns:
        `objective` and `optimiser`; with fsdp2 empty on all but the main process.
    """
    return {
        "objective": get_model_state_dict(module, options=_WHOLE),
        "optimiser": get_optimizer_state_dict(module, optimiser, options=_WHOLE),
    }


def spread_state(
    module: nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Give each process its part of what `gather_state` collected."""
    set_model_state_dict(module, state["objective"], options=_WHOLE)
    set_optimizer_state_dict(module, optimiser, state["optimiser"], options=_WHOLE)


def gather_whole(value: Tensor) -> Tensor:
    """Return a copy on the CPU; with fsdp2 each process must ask."""
    whole = value.full_tensor() if isinstance(value, DTensor) else value
    return whole.detach().cpu().clone()


def spread_like(whole: Tensor, like: Tensor) -> Tensor:
    """Take the part of a tensor that `like` is of its own."""
    whole = whole.to(like.device)
    if isinstance(like, DTensor):
        return distribute_tensor(whole, like.device_mesh, like.placements)
    return whole
