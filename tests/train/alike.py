# SPDX-License-Identifier: Apache-2.0
"""When two runs count as one: to the rounding of sums."""

import torch
from safetensors.torch import load_file

from rspipe.train.logging import read_metrics

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def weights(folder):
    return load_file(folder / "encoder.safetensors")


def losses(folder):
    return [line["loss"] for line in read_metrics(folder)]


def assert_alike(a, b):
    """Assert equal steps, losses, gradient norms, rates and weights of two run folders."""
    lines = [read_metrics(folder) for folder in (a, b)]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]]
    for key in ("loss", "grad_norm", "lr"):
        mine, theirs = (torch.tensor([line[key] for line in part]) for part in lines)
        torch.testing.assert_close(mine, theirs, **TOLERANCE)
    torch.testing.assert_close(*(without_key_biases(weights(f)) for f in (a, b)), **TOLERANCE)


def without_key_biases(state):
    """Leave out the biases of attention's keys, a third of each `qkv.bias`.

    They add the same to all scores of a query, so the softmax does not feel them and their gradient
    is zero but for rounding; AdamW divides it by its own size, and makes steps of it.
    """
    return {
        name: torch.cat(value.chunk(3)[::2]) if name.endswith("attn.qkv.bias") else value
        for name, value in state.items()
    }
