# SPDX-License-Identifier: Apache-2.0
"""How fast a run is, of how much it could be, and when it will end."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from rspipe.train.peaks import Peak

# A multiply-accumulate is two operations; the backward pass does two products per forward product.
FLOPS_PER_MAC = 2 * 3


@dataclass
class _Clock:
    steps: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0


@dataclass
class Meter:
    """Clocks of a run. Hooks, pictures and checkpoints are not timed."""

    images_per_step: int
    devices: int
    macs_per_image: int
    """Forward."""
    peak: Peak
    elapsed_s: float = 0.0
    """Of the whole run, resumed ones included."""
    waited_s: float = 0.0
    """Of it, for data."""
    _window: "_Clock" = field(default_factory=_Clock)
    _process: "_Clock" = field(default_factory=_Clock)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time one step."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.elapsed_s += seconds
        for clock in (self._window, self._process):
            clock.steps += 1
            clock.seconds += seconds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time the wait for data, within a step."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.waited_s += seconds
        self._window.waited_s += seconds

    @property
    def images_per_s(self) -> float:
        """Of this process's steps so far."""
        return self._process.steps * self.images_per_step / max(self._process.seconds, 1e-9)

    def read(self, steps_left: int, device: torch.device) -> dict[str, float]:
        """Report on the steps since the last report, and begin anew.

        `mfu` counts the operations that the model needs (6 per forward multiply-accumulate), not
        those that activation checkpointing repeats. `data_wait_share` is an upper bound on a GPU,
        which may still be at work while the host waits.
        """
        window, self._window = self._window, _Clock()
        seconds = max(window.seconds, 1e-9)
        rate = window.steps * self.images_per_step / seconds
        per_step = self._process.seconds / max(self._process.steps, 1)
        return {
            "images_per_s": rate,
            "images_per_s_device": rate / self.devices,
            "mfu": mfu(rate / self.devices, self.macs_per_image, self.peak.flops_per_s),
            "data_wait_share": window.waited_s / seconds,
            "peak_memory_gib": peak_memory_bytes(device) / 2**30,
            "elapsed_s": self.elapsed_s,
            "eta_s": steps_left * per_step,
        }


def mfu(images_per_s_device: float, macs_per_image: int, flops_per_s: float) -> float:
    """Share of a device's peak that goes into the model's own products.

    >>> mfu(images_per_s_device=1000, macs_per_image=10**10, flops_per_s=120e12)
    0.5

    Source: Chowdhery et al. 2022 (PaLM), arXiv:2204.02311, app. B.
    """
    return images_per_s_device * macs_per_image * FLOPS_PER_MAC / flops_per_s


def peak_memory_bytes(device: torch.device) -> int:
    """Largest memory so far: of the tensors on a GPU, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
