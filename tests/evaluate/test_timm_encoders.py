# SPDX-License-Identifier: Apache-2.0
"""Any timm model through the evaluators: its pyramid, its learning rates, one run of a recipe."""

import json

import pytest
import torch
from typer.testing import CliRunner

from rspipe.cli import app
from rspipe.errors import UnfitEncoder
from rspipe.evaluate.config import LinearSegmentation, UPerNetTuning
from rspipe.evaluate.detection.horizontal.faster_rcnn import levels_of
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNSettings
from rspipe.evaluate.runner import evaluate
from rspipe.evaluate.segmentation.model import linear_segmenter, upernet_segmenter
from rspipe.evaluate.tuning.drop_path import set_drop_path
from rspipe.evaluate.tuning.layer_decay import layer_decay_groups
from rspipe.evaluate.tuning.pyramid import Pyramid, last_taps
from tests.evaluate.native_sets import write_masks, write_scenes
from tests.models.test_timm_sources import write_folder
from tests.models.tiny_models import tiny

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("family", "widths"),
    [
        ("registers", (24, 24, 24, 24)),
        ("dinov3", (24, 24, 24, 24)),
        ("swin", (8, 16, 32, 64)),
        ("convnext", (8, 16, 24, 32)),
        ("resnet", (8, 8, 16, 16)),
        ("hiera", (8, 16, 32, 64)),
        ("pvt", (8, 8, 16, 16)),
    ],
)
@torch.no_grad()
def test_pyramid_has_four_levels_of_the_strides_it_says(family, widths):
    pyramid = Pyramid(tiny(family)).eval()
    strides = (4, 8, 16, 32)
    assert tuple(pyramid.strides_px.values()) == strides
    assert tuple(pyramid.widths) == widths
    found = [tuple(level.shape) for level in pyramid(IMAGES).values()]
    assert found == [(2, w, 64 // s, 64 // s) for w, s in zip(widths, strides, strict=True)]


@torch.no_grad()
def test_stages_of_a_pyramid_are_its_levels_as_they_are():
    encoder = tiny("swin")
    levels = Pyramid(encoder).eval()(IMAGES)
    want = encoder.body.forward_intermediates(IMAGES, intermediates_only=True)
    for level, stage in zip(levels.values(), want, strict=True):
        torch.testing.assert_close(level, stage)


@torch.no_grad()
def test_last_map_can_feed_all_levels_of_what_makes_none_itself():
    encoder = tiny("convnext")
    encoder.body.feature_info = encoder.body.feature_info[1:]
    with pytest.raises(UnfitEncoder, match="3 stages"):
        Pyramid(encoder)
    encoder = tiny("convnext")
    pyramid = Pyramid(encoder, last_taps(len(encoder.stages))).eval()
    assert tuple(pyramid.strides_px.values()) == (8, 16, 32, 64)
    assert [level.shape[2] for level in pyramid(IMAGES).values()] == [8, 4, 2, 1]
    simple = levels_of(encoder, FasterRCNNSettings(pyramid="simple", width=8))
    assert [level.shape[2] for level in simple(IMAGES).values()] == [8, 4, 2, 1]


@pytest.mark.parametrize("family", ["registers_no_class_token", "swin", "resnet"])
def test_segmenters_learn_on_every_family(family):
    encoder = tiny(family)
    linear = linear_segmenter(encoder, 3, LinearSegmentation(crop_px=64))
    assert linear(IMAGES).shape == (2, 3, 64, 64)
    tuned = upernet_segmenter(encoder, 3, UPerNetTuning(crop_px=64, stride_px=48, channels=8))
    torch.autograd.backward(tuned(IMAGES).square().mean())
    first = next(p for p in tuned.encoder.trunk.parameters() if p.ndim == 4)
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


@pytest.mark.parametrize("family", ["registers", "dinov3", "swin", "convnext", "resnet", "hiera"])
def test_every_parameter_learns_at_one_rate_and_the_first_layers_slowest(family):
    encoder = tiny(family).requires_grad_()
    groups = layer_decay_groups(encoder, 0.5, 0.05)
    grouped = [id(p) for g in groups for p in g["params"]]
    assert sorted(grouped) == sorted(id(p) for p in encoder.parameters())
    scale = {id(p): g["lr_scale"] for g in groups for p in g["params"]}
    stem = scale[id(next(p for p in encoder.trunk.parameters() if p.ndim == 4))]
    assert stem == min(scale.values()) < 1
    assert all(scale[id(p)] == 1 for p in encoder.final_norm.parameters())


def test_branches_of_pyramids_and_convnets_are_dropped_too():
    for family in ("swin", "convnext"):
        encoder = tiny(family)
        set_drop_path(encoder.trunk, 0.9)
        with torch.no_grad():
            assert torch.equal(encoder.eval().tokens(IMAGES), tiny(family).tokens(IMAGES))
            encoder.train()
            torch.manual_seed(0)  # which branches fall; two equal draws are not impossible
            assert not torch.equal(encoder.tokens(IMAGES), encoder.tokens(IMAGES))
    resnet = tiny("resnet")  # the last norm of its branches begins at 0: nothing to drop yet
    set_drop_path(resnet.trunk, 0.9)
    stages = (resnet.body.layer1, resnet.body.layer2, resnet.body.layer3, resnet.body.layer4)
    rates = [stage[0].drop_path.drop_prob for stage in stages]
    assert rates == pytest.approx([0.0, 0.3, 0.6, 0.9])


def test_a_recipe_judges_timm_s_models_beside_each_other(tmp_path):
    write_scenes(tmp_path / "native/hues")
    write_masks(tmp_path / "native/halves")
    write_folder(tmp_path / "registers", "registers")
    recipe = {
        "name": "timm",
        "encoder": "timm/test_convnext@random",
        "beside": {"registers": str(tmp_path / "registers")},
        "data": str(tmp_path / "native"),
        "out": str(tmp_path / "results"),
        "what": {
            "baselines": [],
            "input": {"pretrained": {"img_px": 32}},
            "bootstrap": {"resamples": 5},
            "efficient": {"epochs": 1, "min_steps": 20, "lr_grid": [8.0]},
            "protocols": {"classification": ["knn", "efficient"], "segmentation": ["linear"]},
            "linear_segmentation": {"iterations": 3, "images_per_step": 2, "crop_px": 64},
        },
        "how": {"device": "cpu", "threads": 1},
    }
    (tmp_path / "eval.yaml").write_text(json.dumps(recipe))
    done = CliRunner().invoke(app, ["eval", str(tmp_path / "eval.yaml"), "what.pooling=mean"])
    assert done.exit_code == 0, done.output
    assert "reads 32 x 32 px, red, green, blue / 255, mean 0.5, 0.5, 0.5" in done.output
    assert "mean 0.1, 0.2, 0.3" in done.output
    rows = json.loads((tmp_path / "results/results.json").read_text())
    assert {(r["protocol"], r["encoder"]) for r in rows if r["value"] is not None} == {
        (protocol, encoder)
        for protocol in ("knn", "efficient", "linear")
        for encoder in ("pretrained", "registers")
    }
    manifest = json.loads((tmp_path / "results/manifest.json").read_text())
    said = manifest["encoders"]["registers"]
    assert (said["size_px"], said["mean"], said["std"]) == (
        [64, 64],
        [0.1, 0.2, 0.3],
        [0.5, 0.6, 0.7],
    )
    assert said["tensors_matched"] == said["tensors"] > 0
    assert rows[0]["extra"]["input"]["tokens"]["class_token"] is False


def test_the_class_token_of_what_has_none_is_a_row_that_says_so(tmp_path, recipe):
    write_scenes(tmp_path / "native/hues")
    what = {"pooling": "cls", "baselines": [], "protocols": {"classification": ["knn"]}}
    what["input"] = {"pretrained": {"img_px": 32}}
    evaluate(recipe(tmp_path / "native", what=what, encoder="timm/test_resnet@random"))
    (row,) = json.loads((tmp_path / "results/results.json").read_text())
    assert row["status"] == "skipped"
    assert (
        "timm/test_resnet@random: what.pooling=cls: it has no class token; use mean"
        in row["reason"]
    )
