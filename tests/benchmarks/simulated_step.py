# SPDX-License-Identifier: Apache-2.0
"""Peak memory of a training step, without doing it: every tensor is fake, every allocation counted.

torch's fake tensors have shapes and lifetimes but no values, so a step of ViT-L with 256 images
needs seconds and no memory. What is counted is what PyTorch would allocate: weights, gradients,
AdamW's moments, all that autograd keeps, and whatever is alive for a moment; not the allocator's
rounding, nor work space inside a kernel. Attention is the fused one, as on a GPU.
"""

import weakref
from contextlib import nullcontext

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rspipe.objectives import Draws
from rspipe.train.hardware import computing


class Alive(TorchDispatchMode):
    """Counts the bytes of all storages that are alive, each once."""

    def __init__(self):
        super().__init__()
        self.bytes = self.peak_bytes = 0
        self._known = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self._note(leaf.untyped_storage())
        return out

    def _note(self, storage):
        key = storage._cdata
        if key not in self._known:
            self._known.add(key)
            self.bytes += storage.nbytes()
            self.peak_bytes = max(self.peak_bytes, self.bytes)
            weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key, size):
        self._known.discard(key)
        self.bytes -= size


def peak_bytes(make, adamw, batch, precision, is_fake=True):
    """Largest memory of the second step: the first has no moments yet.

    `make()` makes the objective, `adamw(parameters)` its optimiser. With `is_fake=False` the step
    is really done, and the same bytes are counted.
    """
    cpu = torch.device("cpu")
    with torch.device("meta"):
        objective = make()
    fake = FakeTensorMode(allow_non_fake_inputs=True) if is_fake else nullcontext()
    with fake, Alive() as alive:
        objective = objective.to_empty(device=cpu)
        optimiser = adamw(objective.parameters())
        size_px = objective.encoder.config.size_px
        images = torch.randn(batch, objective.encoder.config.in_chans, *size_px)
        for _ in range(2):
            optimiser.zero_grad(set_to_none=True)
            with computing(cpu, precision), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                plan = objective.plan(images, 0.5, Draws(0, torch.arange(batch)))
                objective(images, plan).loss.backward()
            optimiser.step()
    return alive.peak_bytes
