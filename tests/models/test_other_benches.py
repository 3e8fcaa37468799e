# SPDX-License-Identifier: Apache-2.0
"""The blocks of docs/other-benches.md, each where the bench that it is for is installed."""

import json
import re
from pathlib import Path

import pytest
import timm
import torch

from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.models.hub import export_to_hub
from rspipe.models.origin import Origin

PAGE = Path(__file__).parents[2] / "docs/other-benches.md"


def block(title):
    """Run a block of the page as the module that its title names."""
    found = re.search(rf'```python title="{title}\.py"\n(.*?)```', PAGE.read_text(), re.DOTALL)
    module = {"__name__": title}
    exec(compile(found[1], title, "exec"), module)
    return module


@pytest.fixture(scope="module")
def encoder():
    config = EncoderConfig(img_px=64, patch_px=16, width=48, depth=4, heads=3)
    return Encoder.random(config, seed=1).eval()


@pytest.fixture(scope="module")
def hub(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "hub"
    export_to_hub(encoder, folder, Origin("tiny"))
    return folder


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def maps_of_timm(hub, images):
    model = timm.create_model(f"local-dir:{hub}", pretrained=True).eval()
    return model.forward_intermediates(images, intermediates_only=True)


@torch.no_grad()
def test_timm_computes_the_encoder_s_features(encoder, hub, images):
    model = timm.create_model(f"local-dir:{hub}", pretrained=True).eval()
    torch.testing.assert_close(
        model.forward_features(images), encoder.tokens(images, final_norm=True)
    )


def test_terratorch_reads_the_same_maps_and_trains_a_segmenter(hub, images):
    pytest.importorskip("terratorch", reason="terratorch is not installed")
    page = block("in_terratorch")
    with torch.no_grad():
        found = page["backbone"](hub, [0, 1, 2, 3]).eval()(images)
    torch.testing.assert_close(list(found), list(maps_of_timm(hub, images)))
    model = page["segmenter"](hub, 3)
    logits = model(images).output
    assert logits.shape == (2, 3, 64, 64)
    torch.autograd.backward(logits.square().mean())
    first = next(p for n, p in model.encoder.named_parameters() if n.endswith("qkv.weight"))
    assert first.grad.abs().sum() > 0


def test_torchgeo_takes_a_training_step(hub, images):
    pytest.importorskip("torchgeo", reason="torchgeo is not installed")
    architecture = json.loads((hub / "config.json").read_text())["architecture"]
    task = block("in_torchgeo")["task"](hub, architecture, 4)
    loss = task.training_step({"image": images, "label": torch.tensor([0, 1])}, 0)
    torch.autograd.backward(loss)
    assert task.model.patch_embed.proj.weight.grad.abs().sum() > 0


def test_pangaea_reads_the_same_maps_and_its_upernet_gives_logits(hub, images):
    pytest.importorskip("pangaea.encoders.base", reason="PANGAEA's sources are not on the path")
    from pangaea.decoders.upernet import SegUPerNet

    encoder = block("in_pangaea")["RspipeEncoder"](
        str(hub), {"optical": ["B4", "B3", "B2"]}, 64, [0, 1, 2, 3]
    ).eval()
    given = {"optical": images[:, :, None]}
    with torch.no_grad():
        torch.testing.assert_close(list(encoder(given)), list(maps_of_timm(hub, images)))
        head = SegUPerNet(encoder, num_classes=3, finetune=False, channels=8).eval()
        assert head(given, output_shape=(64, 64)).shape == (2, 3, 64, 64)


def test_torchgeo_bench_reads_the_mean_of_the_patches(encoder, hub):
    base = pytest.importorskip("torchgeo_bench.datasets.base", reason="no torchgeo-bench")
    said = {"sensor": "aerial", "mean": 127.0, "std": 50.0, "min": 0.0, "max": 255.0}
    bands = [base.BandSpec(name=n, source_name=n, **said) for n in ("red", "green", "blue")]
    model = block("in_torchgeo_bench")["RspipeModel"](bands, hub=str(hub))
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        want = encoder.vectors(encoder.tokens(encoder.normalise(pixels)))["post/mean"]
        torch.testing.assert_close(model(pixels.float()), want)
