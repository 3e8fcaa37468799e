# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.errors import RunError
from rspipe.train.hardware import computing, resolve_device, resolve_precision


def test_unknown_device_is_an_error_with_a_next_move():
    with pytest.raises(RunError, match=r"how\.device=auto"):
        resolve_device("abacus")


def test_precision_follows_the_hardware(monkeypatch):
    cpu = torch.device("cpu")
    for has, want in ((True, "bf16"), (False, "fp32")):
        features = {"amx_bf16": has, "avx512_bf16": False}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda features=features: features)
        assert resolve_precision("auto", cpu) == want
    assert resolve_precision("fp32", cpu) == "fp32"


def test_products_are_computed_in_the_precision_asked_for():
    a = torch.rand(4, 4)
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with computing(torch.device("cpu"), precision):
            assert (a @ a).dtype == dtype
