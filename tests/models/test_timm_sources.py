# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from rspipe.errors import RecipeError, WeightsError
from rspipe.models.encoder import Encoder, seeded
from rspipe.models.timm_encoder import TimmEncoder
from rspipe.models.timm_sources import InputRules, load_file, open_timm, open_timm_folder
from tests.models.tiny_models import FAMILIES, tiny

ATTO = "test_convnext"


@pytest.fixture(scope="module")
def atto():
    """A model with its classifier, as timm publishes models."""
    with seeded(3):
        return timm.create_model(ATTO).eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def write_folder(folder, family, *, num_classes=5, drop=(), **card):
    """Write a Hugging Face folder as timm's `save_for_hf` lays it out."""
    name, arguments = FAMILIES[family]
    with seeded(1):
        model = timm.create_model(name, num_classes=num_classes, **arguments).eval()
    folder.mkdir()
    noted = {"input_size": [3, 64, 64], "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    noted["classifier"] = model.pretrained_cfg["classifier"]
    said = {"architecture": name, "num_classes": num_classes, "model_args": arguments}
    (folder / "config.json").write_text(json.dumps(said | {"pretrained_cfg": noted} | card))
    state = {k: v for k, v in model.state_dict().items() if k not in drop}
    save_file(state, folder / "model.safetensors")
    return model


@torch.no_grad()
def test_file_of_a_timm_model_is_read_whole_and_its_classifier_left_out(atto, images, tmp_path):
    torch.save({"state_dict": atto.state_dict()}, tmp_path / "atto.pth")
    encoder = open_timm(f"timm/{ATTO}@{tmp_path}/atto.pth", InputRules(img_px=64))
    report = encoder.report
    assert len(report.matched) == report.total == len(atto.state_dict()) - 2
    assert set(report.dropped) == {"head.fc.weight", "head.fc.bias"}
    want = atto.forward_head(atto.forward_features(images), pre_logits=True)
    torch.testing.assert_close(encoder.vectors(encoder.tokens(images))["post/mean"], want)


@torch.no_grad()
def test_the_papers_own_file_is_translated_by_timm_s_filter(atto, images, tmp_path):
    """ConvNeXt's release names its layers otherwise and has its layer scale in 1-d tensors."""
    theirs = {}
    for name, tensor in atto.state_dict().items():
        old = name.replace("stem.", "downsample_layers.0.").replace("head.norm", "norm")
        old = old.replace("head.fc", "head").replace("conv_dw", "dwconv")
        old = old.replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")
        parts = old.split(".")
        if parts[0] == "stages" and parts[2] == "downsample":
            old = ".".join(["downsample_layers", parts[1], *parts[3:]])
        theirs[old.replace(".blocks.", ".")] = tensor.half()
    torch.save({"model": theirs}, tmp_path / "release.pth")
    encoder = open_timm(f"timm/{ATTO}@{tmp_path}/release.pth", InputRules(img_px=64))
    assert "filter" in encoder.report.changed["names and shapes"]
    half = timm.create_model(ATTO).eval()
    half.load_state_dict({k: v.half() for k, v in atto.state_dict().items()})
    want = half.forward_head(half.forward_features(images), pre_logits=True)
    torch.testing.assert_close(encoder.vectors(encoder.tokens(images))["post/mean"], want)


def test_a_missing_key_and_a_stranger_s_file_are_refused_by_name(atto, tmp_path):
    state = dict(atto.state_dict())
    del state["stages.0.blocks.0.gamma"]
    save_file(state, tmp_path / "cut.safetensors")
    with pytest.raises(WeightsError, match=r"missing: stages\.0\.blocks\.0\.gamma"):
        open_timm(f"timm/{ATTO}@{tmp_path}/cut.safetensors")
    save_file({"layer.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"unexpected: layer\.weight"):
        open_timm(f"timm/{ATTO}@{tmp_path}/other.safetensors")


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    write_folder(tmp_path / "hub", "convnext")
    state = timm.models.load_state_dict(str(tmp_path / "hub/model.safetensors"))
    state["stem.0.bias"][0] = torch.nan
    save_file(state, tmp_path / "hub/model.safetensors")
    with pytest.raises(WeightsError, match="finite"):
        open_timm_folder(tmp_path / "hub")


@pytest.mark.parametrize("family", ["registers", "swin", "dinov3"])
@torch.no_grad()
def test_hugging_face_folder_says_all_by_itself(family, images, tmp_path):
    model = write_folder(tmp_path / "hub", family)
    encoder = open_timm_folder(tmp_path / "hub")
    assert encoder.config.mean == (0.1, 0.2, 0.3)
    assert encoder.config.std == (0.5, 0.6, 0.7)
    assert len(encoder.report.matched) == encoder.report.total
    want = model.forward_features(images).flatten(1, -2)
    found = encoder.tokens(images, final_norm=True)
    torch.testing.assert_close(found[:, -1], want[:, -1])


@torch.no_grad()
def test_a_plain_transformer_becomes_our_own_encoder_with_timm_s_features(images, tmp_path):
    model = write_folder(tmp_path / "hub", "vit")
    encoder = open_timm_folder(tmp_path / "hub")
    assert isinstance(encoder, Encoder)
    found = encoder.tokens(images, final_norm=True)
    torch.testing.assert_close(found, model.forward_features(images))
    assert isinstance(tiny("vit"), TimmEncoder)


@pytest.mark.parametrize("name", ["vit_tiny_r_s16_p8_224", "vit_pwee_patch16_reg1_gap_256"])
def test_what_looks_like_a_plain_transformer_and_is_none_stays_timm_s(name):
    """A ResNet below the transformer; attention and MLP side by side."""
    assert isinstance(open_timm(f"timm/{name}@random", InputRules(img_px=64)), TimmEncoder)


def test_a_folder_that_is_not_timm_s_or_names_places_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "dinov2"}))
    with pytest.raises(WeightsError, match=r"encoder=timm/NAME@.*model\.safetensors"):
        open_timm_folder(tmp_path)
    write_folder(tmp_path / "hub", "convnext", model_args={"checkpoint_path": "x.pth"})
    with pytest.raises(WeightsError, match="may not name checkpoint_path"):
        open_timm_folder(tmp_path / "hub")


def test_a_folder_of_one_image_size_is_read_at_it_and_resampled(tmp_path):
    for family in ("registers", "swin", "vit"):
        write_folder(tmp_path / family, family)
        encoder = open_timm_folder(tmp_path / family, InputRules(img_px=128))
        own = open_timm_folder(tmp_path / family)
        assert encoder.config.grid == (own.config.grid[0] * 2, own.config.grid[1] * 2)
        assert len(encoder.report.matched) == encoder.report.total


def test_other_bands_than_three_are_refused(tmp_path):
    card = {"input_size": [4, 64, 64], "mean": [0.5] * 4, "std": [0.5] * 4}
    write_folder(tmp_path / "hub", "convnext", pretrained_cfg=card)
    with pytest.raises(RecipeError, match="reads 4 bands; benchmarks are red, green, blue"):
        open_timm_folder(tmp_path / "hub")


def test_unknown_names_and_tags_are_refused_with_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'test_convnext'"):
        open_timm("timm/test_convnxt@random")
    with pytest.raises(RecipeError, match=r"timm knows .*test_convnext\.r160_in1k"):
        open_timm("timm/test_convnext.nonsense@random")
    with pytest.raises(RecipeError, match="no model"):
        open_timm("timm/hf-hub:someone/something@random")


def test_statistics_are_timm_s_unless_the_recipe_says_otherwise():
    own = open_timm("timm/test_resnet@random", InputRules(img_px=64)).config
    noted = timm.models.get_pretrained_cfg("test_resnet")
    assert (own.mean, own.std) == (noted.mean, noted.std)
    rules = InputRules(img_px=64, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    said = open_timm("timm/test_resnet@random", rules).config
    assert (said.mean, said.std, said.size_px) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), (64, 64))


def test_a_download_without_a_network_says_the_next_move(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", unreachable)
    with pytest.raises(WeightsError, match=r"no route.*encoder=timm/test_resnet@FILE"):
        open_timm("timm/test_resnet")


def test_random_weights_are_the_same_each_time_and_said_to_be_random():
    one, other = (open_timm("timm/test_resnet@random", InputRules(img_px=64)) for _ in range(2))
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    assert not one.report.matched
    assert "random" in next(iter(one.report.filled.values()))


def test_positions_of_another_image_size_are_resampled_by_timm(tmp_path):
    name, arguments = FAMILIES["registers_no_class_token"]
    with seeded(1):
        model = timm.create_model(name, **arguments | {"img_size": 128}).eval()
    save_file(model.state_dict(), tmp_path / "small.safetensors")
    fresh = timm.create_model(name, num_classes=0, **arguments)
    report = load_file(fresh, tmp_path / "small.safetensors", {"classifier": "head"})
    assert "filter" in report.changed["names and shapes"]
    assert fresh.pos_embed.shape[1] == 16
