# SPDX-License-Identifier: Apache-2.0
"""How many operations a second a device can do at best: what MFU is a share of."""

import time
from dataclasses import dataclass
from functools import cache

import torch

from rspipe.train.config import Precision

_CPU_SIDE = 768
_GPU_SIDE = 8192
_TRIES = 5
_CPU_SECONDS = 0.5
"""A CPU is shared: so long there is a moment in which nobody else is at work."""


@dataclass(frozen=True)
class Peak:
    """Floating-point operations per second of one device, and who says so."""

    flops_per_s: float
    source: str


# Dense matrix products: data sheets of NVIDIA print twice as much, with 2:4 sparsity. Part of the
# device's name, bf16 with float32 sums and float32 without TF32 in TFLOP/s, source.
# The first that is found in the name counts.
DATA_SHEETS: tuple[tuple[str, float, float, str], ...] = (
    ("A100", 312.0, 19.5, "NVIDIA A100 data sheet"),
    ("H100 PCIe", 756.5, 51.0, "NVIDIA H100 data sheet (1,513 with sparsity)"),
    ("H100 NVL", 835.5, 60.0, "NVIDIA H100 data sheet (1,671 with sparsity)"),
    ("H100", 989.5, 67.0, "NVIDIA H100 data sheet, SXM (1,979 with sparsity)"),
    ("H200 NVL", 835.5, 60.0, "NVIDIA H200 data sheet (1,671 with sparsity)"),
    ("H200", 989.5, 67.0, "NVIDIA H200 data sheet, SXM (1,979 with sparsity)"),
    ("L40S", 362.05, 91.6, "NVIDIA L40S data sheet (733 with sparsity)"),
    ("RTX 4090", 165.2, 82.6, "NVIDIA Ada GPU architecture white paper, appendix A"),
    (
        "MI300X",
        1307.4,
        163.4,
        "AMD Instinct MI300X data sheet, matrix; float32 as vector and matrix",
    ),
)


@cache
def find_peak(device: torch.device, precision: Precision) -> Peak:
    """Look the device up, or, if no data sheet is known, measure a large matrix product."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return data_sheet(name, precision) or measure(device, precision)


def data_sheet(name: str, precision: Precision) -> Peak | None:
    """Look up a device by its name.

    >>> data_sheet("NVIDIA H100 80GB HBM3", "bf16").flops_per_s
    989500000000000.0
    """
    for part, bf16, fp32, source in DATA_SHEETS:
        if part in name:
            return Peak((bf16 if precision == "bf16" else fp32) * 1e12, source)
    return None


def measure(device: torch.device, precision: Precision) -> Peak:
    """Multiply two square matrices again and again; the fastest counts.

    On a machine that is busy all the while the result is too low, and an MFU above 1 says so.
    """
    side = _GPU_SIDE if device.type == "cuda" else _CPU_SIDE
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.ones(side, side, dtype=dtype, device=device)
    seconds: list[float] = []
    while len(seconds) < _TRIES or (device.type == "cpu" and sum(seconds) < _CPU_SECONDS):
        _finish(device)
        start = time.perf_counter()
        torch.mm(a, a)
        _finish(device)
        seconds.append(time.perf_counter() - start)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # of the run, not of this
    best = 2 * side**3 / min(seconds)
    return Peak(
        best, f"measured: best of {len(seconds)} products of {side} x {side} {precision} matrices"
    )


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
