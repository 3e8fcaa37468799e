# SPDX-License-Identifier: Apache-2.0
"""Agreement of efficient probing with the released code, in float32, to 1e-5.

`--oracles DIR` takes every `efficient_probing_*.npz` of another folder; the default is the copy
beside this test. Files of other methods are ignored.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from rspipe.evaluate.classification.probes.efficient import EfficientProbe

HERE = Path(__file__).parent / "oracles"


@pytest.fixture
def oracles(request):
    folder = Path(request.config.getoption("--oracles", default=None) or HERE)
    files = sorted(folder.glob("efficient_probing_*.npz"))
    if not files:
        pytest.skip(f"no efficient_probing_*.npz in {folder}")
    return [(file.name, np.load(file)) for file in files]


def variants(oracle):
    """Every group of `queries`, `value_weight` and `output` in one file."""
    return sorted(key.removesuffix("queries") for key in oracle.files if key.endswith("queries"))


def reference(oracle, prefix, dtype):
    """The definition, token by token: values first, then the sum over tokens."""
    tokens, queries, weight = (
        torch.from_numpy(oracle[key]).to(dtype)
        for key in ("tokens", f"{prefix}queries", f"{prefix}value_weight")
    )
    attention = (tokens @ queries.T / tokens.shape[-1] ** 0.5).softmax(dim=1)
    slices = (tokens @ weight.T).unflatten(-1, (len(queries), -1))
    return torch.einsum("bnm,bnmc->bmc", attention, slices).flatten(1)


def probe_of(oracle, prefix):
    queries, weight = oracle[f"{prefix}queries"], oracle[f"{prefix}value_weight"]
    count, width = queries.shape
    probe = EfficientProbe(width, count, shrink=width // len(weight))
    state = {"queries": torch.from_numpy(queries), "value_weight": torch.from_numpy(weight)}
    probe.load_state_dict(state, strict=True)
    return probe


@torch.no_grad()
def test_efficient_probing_agrees_with_released_code(oracles):
    for name, oracle in oracles:
        assert variants(oracle), f"{name} holds no queries"
        for prefix in variants(oracle):
            found = probe_of(oracle, prefix)(torch.from_numpy(oracle["tokens"]))
            want = torch.from_numpy(oracle[f"{prefix}output"])
            torch.testing.assert_close(found, want, rtol=0, atol=1e-5, msg=f"{name} {prefix}")


@torch.no_grad()
def test_efficient_probing_agrees_with_its_definition_in_both_precisions(oracles):
    """E1: to 1e-6 in float32 (relative to the largest output), 1e-12 in float64."""
    for _, oracle in oracles:
        for prefix in variants(oracle):
            probe = probe_of(oracle, prefix)
            for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
                want = reference(oracle, prefix, dtype)
                found = probe.to(dtype)(torch.from_numpy(oracle["tokens"]).to(dtype))
                bound = tolerance * max(1.0, float(want.abs().max()))
                torch.testing.assert_close(found, want, rtol=0, atol=bound)
