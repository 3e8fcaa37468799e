# SPDX-License-Identifier: Apache-2.0
"""The processes of a run: who they are, and how they share weights, gradients and decisions.

Started plainly, a run has one process. Under `torchrun` it has one per GPU, or as many as one
likes on CPUs; images, losses and decisions are then the same to rounding.
"""

import atexit
import dataclasses
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.nn.parallel import DistributedDataParallel

from rspipe.errors import RspipeError
from rspipe.objectives import Objective, Plan, Step
from rspipe.train.config import Precision, PretrainHow
from rspipe.train.hardware import resolve_device

T = TypeVar("T")

# The main process may be in a hook, such as a probe, while the others wait.
_TIMEOUT = timedelta(hours=2)
# Weights, gradients and the two moments of AdamW, in float32.
_BYTES_PER_PARAMETER = 16
# FSDP2 looks for tensors in what a module returns.
torch.export.register_dataclass(Step)


@dataclass(frozen=True)
class World:
    """The processes of a run, as one of them sees it."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def mean(self, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Average over the processes; the same on each of them, also if not finite."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def gather(self, value: T) -> list[T]:
        """Collect one picklable value per process, on each of them, by rank."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Go on when all are here."""
        if self.size > 1:
            dist.barrier()

    def leave(self, error: RspipeError) -> NoReturn:
        """End all processes for a reason that they agree on; only the main one says it."""
        self.wait()
        if not self.is_main:
            raise SystemExit(error.exit_code)
        raise error


def join(device_name: str) -> World:
    """Find the other processes that `torchrun` started, if it did.

    They stay together until the process ends: one that leaves a group cannot enter it again.

    Args:
        device_name: as in `how.device`.

    Raises:
        RunError: the device is not here, or there are fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return World(resolve_device(device_name))
    device = _own_device(device_name)
    if not dist.is_initialized():
        on_gpu = device.type == "cuda"
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            timeout=_TIMEOUT,
            device_id=device if on_gpu else None,
        )
        atexit.register(dist.destroy_process_group)
    return World(device, dist.get_rank(), dist.get_world_size())


def _own_device(name: str) -> torch.device:
    """Take the GPU of this process's number on its machine."""
    device = resolve_device(name)
    if device.type == "cuda":
        device = resolve_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(device)
    return device


class Forward:
    """The forward pass of one process; the backward pass then shares gradients as needed.

    Args:
        objective: on its device; with fsdp2 its parameters become parts of tensors, in place.
        how: parallel and compile.
        precision: of the products.
        world: the processes.
    """

    def __init__(
        self, objective: Objective, how: PretrainHow, precision: Precision, world: World
    ) -> None:
        self.is_sharded = world.size > 1 and chooses_fsdp2(objective, how, world)
        self._replicas: DistributedDataParallel | None = None
        self._module: Callable[..., Step] = objective
        if how.compile and world.size > 1:
            for block in _blocks(objective):
                # Whole, all gradients would come at once, and sharing them could not begin before.
                block.compile(dynamic=False)
        if self.is_sharded:
            shard(objective, precision, world)
        elif world.size > 1:
            # Buffers are constants. Which argument leaves them alone depends on torch's version.
            known = inspect.signature(DistributedDataParallel).parameters
            new, old = "forward_sync_buffers", "broadcast_buffers"
            still: dict[str, Any] = {new if new in known else old: False}
            self._replicas = DistributedDataParallel(
                objective, gradient_as_bucket_view=True, **still
            )
            self._module = self._replicas
        elif how.compile:
            self._module = torch.compile(objective, dynamic=False)

    def __call__(self, images: Float[Tensor, "B C H W"], plan: Plan) -> Step:
        """Compute the loss of these images."""
        return self._module(images, plan)

    def sharing(self, is_last: bool) -> AbstractContextManager[None]:
        """Around a pass and its backward pass: share gradients after the last pass of a step.

        With fsdp2 each pass shares them, as whole gradients are what does not fit into memory.
        """
        if self._replicas is None or is_last:
            return nullcontext()
        quiet: AbstractContextManager[None] = self._replicas.no_sync()
        return quiet


def chooses_fsdp2(objective: nn.Module, how: PretrainHow, world: World) -> bool:
    """Decide whether each process holds only its part of the weights."""
    if how.parallel != "auto":
        return how.parallel == "fsdp2"
    if world.device.type != "cuda":
        return False
    total = torch.cuda.get_device_properties(world.device).total_memory
    parameters = sum(p.numel() for p in objective.parameters())
    return parameters * _BYTES_PER_PARAMETER > total / 4


def shard(objective: Objective, precision: Precision, world: World) -> None:
    """Give each process its part of every parameter, block by block.

    Matrices of blocks are gathered in the precision they are multiplied in; norms, and what is
    outside of blocks (embedding, positions), in float32: so values are those that autocast makes
    of whole weights. Gradients are summed in float32.
    """
    mesh = init_device_mesh(world.device.type, (world.size,))
    exact = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
    low = exact
    if precision == "bf16":
        low = dataclasses.replace(exact, param_dtype=torch.bfloat16)
    for block in _blocks(objective):
        if low is not exact:
            norms = (part for part in block.modules() if isinstance(part, nn.LayerNorm))
            fully_shard(list[nn.Module](norms), mesh=mesh, mp_policy=exact)
        fully_shard(block, mesh=mesh, mp_policy=low)
    fully_shard(objective, mesh=mesh, mp_policy=exact)
    for name in ("plan", "reconstruct"):  # they read weights outside of `forward`
        register_fsdp_forward_method(objective, name)


def _blocks(objective: nn.Module) -> Iterator[nn.Module]:
    """All transformer blocks: of the encoder and of any decoder."""
    for name, module in objective.named_modules():
        if name.endswith("blocks"):
            yield from module.children()
