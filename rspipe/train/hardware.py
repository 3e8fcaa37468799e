# SPDX-License-Identifier: Apache-2.0
"""Which device, and which precision it computes well in."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from rspipe.errors import RunError
from rspipe.train.config import Precision


def resolve_device(name: str) -> torch.device:
    """Turn `auto` into the fastest device here.

    Raises:
        RunError: the device is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(
            f"how.device={name}: not usable here ({reason}); try how.device=auto"
        ) from error
    return device


def resolve_precision(wanted: Literal["auto", "bf16", "fp32"], device: torch.device) -> Precision:
    """Turn `auto` into bf16 where the hardware multiplies it, else fp32."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    features = torch.cpu.get_capabilities()
    return "bf16" if features.get("amx_bf16") or features.get("avx512_bf16") else "fp32"


@contextmanager
def attending(device: torch.device) -> Iterator[None]:
    """Compute attention as is fastest; around the backward pass, too, which may repeat parts."""
    # On CPUs, in bf16, fused attention takes 2 to 7 times as long, backward included, as plain
    # matrix products at the few tokens that masked images have (torch 2.15, 17 to 65 tokens);
    # near 200 tokens it is a little faster, and in float32 nearly always.
    with sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext():
        yield


@contextmanager
def computing(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute in this precision; weights, their update and the loss stay in float32."""
    enabled = precision == "bf16"
    with attending(device), torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield
