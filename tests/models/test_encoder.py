# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from rspipe.errors import RecipeError, WeightsError
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.recipe import validate

TINY = EncoderConfig(img_px=32, patch_px=8, width=24, depth=2, heads=3)


@pytest.fixture
def saved(tmp_path):
    encoder = Encoder.random(TINY, seed=3).eval()
    encoder.save(tmp_path)
    return encoder, tmp_path


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_saved_encoder_comes_back_equal(saved, images):
    encoder, folder = saved
    again = Encoder.load(folder)
    assert torch.equal(again.tokens(images), encoder.tokens(images))
    assert len(again.report.matched) == again.report.total == len(encoder.vit.state_dict())


def test_timm_loads_the_file_strictly_without_us(saved, images):
    encoder, folder = saved
    card = json.loads((folder / "encoder.json").read_text())
    file = str(folder / "encoder.safetensors")
    model = timm.create_model(
        card["timm_name"],
        pretrained=True,
        pretrained_cfg_overlay={"file": file, "num_classes": 0},
        **card["timm_kwargs"],
    ).eval()
    torch.testing.assert_close(
        model.forward_features(images), encoder.tokens(images, final_norm=True)
    )
    plain = timm.create_model(card["timm_name"], **card["timm_kwargs"])
    plain.load_state_dict(timm.models.load_state_dict(file), strict=True)


def test_missing_and_unexpected_keys_are_named(saved):
    _, folder = saved
    state = load_file(folder / "encoder.safetensors")
    state["surplus.weight"] = state.pop("norm.bias")
    save_file(state, folder / "encoder.safetensors")
    with pytest.raises(WeightsError, match=r"missing: norm\.bias; unexpected: surplus\.weight"):
        Encoder.load(folder)


def test_weights_of_another_run_are_refused(saved, tmp_path):
    _, folder = saved
    card = (folder / "encoder.json").read_text()
    Encoder.random(TINY, seed=4).save(tmp_path)
    (tmp_path / "encoder.json").write_text(card)
    with pytest.raises(WeightsError, match="not of one run"):
        Encoder.load(tmp_path)


def test_folder_without_card_is_an_error_with_a_next_move(tmp_path):
    with pytest.raises(WeightsError, match="no finished encoder here"):
        Encoder.load(tmp_path)


def test_hidden_pixels_never_reach_the_encoder(images):
    encoder = Encoder.random(TINY, seed=0).eval()
    ids = torch.tensor([[0, 5], [9, 3]])
    other = torch.randn_like(images)
    seen = torch.zeros(2, 16, dtype=torch.bool).scatter(1, ids, value=True)
    mask = seen.reshape(2, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    changed = torch.where(mask, images, other)
    assert torch.equal(encoder.encode_visible(images, ids), encoder.encode_visible(changed, ids))


def test_all_patches_visible_is_the_whole_image(images):
    encoder = Encoder.random(TINY, seed=0).eval()
    ids = torch.arange(16).expand(2, -1)
    torch.testing.assert_close(
        encoder.encode_visible(images, ids, final_norm=False), encoder.tokens(images)
    )


def test_random_encoder_is_a_function_of_its_seed():
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    states = [Encoder.random(TINY, seed).state_dict() for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(1), first)  # the global generator is as it was
    key = "vit.blocks.0.attn.qkv.weight"
    assert torch.equal(states[0][key], states[1][key])
    assert not torch.equal(states[0][key], states[2][key])


def test_preprocess_standardises_and_resizes():
    encoder = Encoder.random(TINY, seed=0)
    grey = np.full((1, 50, 70, 3), 128, dtype=np.uint8)
    out = encoder.preprocess(grey)
    assert out.shape == (1, 3, 32, 32)
    want = (128 / 255 - torch.tensor(TINY.mean)) / torch.tensor(TINY.std)
    torch.testing.assert_close(out[0, :, 5, 5], want)
    assert (encoder.denormalise(out) == 128).all()
    with pytest.raises(ValueError, match="4 bands"):
        encoder.preprocess(np.zeros((1, 32, 32, 4), dtype=np.uint8))


def test_oblong_images_and_other_bands_work(tmp_path):
    config = EncoderConfig(
        img_px=(16, 48),
        patch_px=8,
        width=24,
        depth=1,
        heads=2,
        in_chans=2,
        bands=("red", "nir"),
        mean=(0.1, 0.2),
        std=(1.0, 1.0),
    )
    encoder = Encoder.random(config, seed=0)
    assert encoder.tokens(torch.randn(1, 2, 16, 48)).shape == (1, 13, 24)
    encoder.save(tmp_path)
    assert Encoder.load(tmp_path).config == config


@pytest.mark.parametrize(
    "wrong", [{"img_px": 30}, {"heads": 5}, {"mean": (0.5,)}, {"mean": (124.0,) * 3}]
)
def test_impossible_shapes_are_refused(wrong):
    with pytest.raises(RecipeError):
        validate(TINY.model_dump() | wrong, EncoderConfig, origin="test")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("vit_bose_patch16_224", "Unknown model"),
        ("resnet18", "img_size"),
        ("vit_small_patch14_reg4_dinov2", "no class token alone"),
        ("deit3_small_patch16_224", "not to the class token"),
        ("vit_base_patch16_clip_224", "a norm before the blocks"),
        ("hf-hub:timm/vit_base", "not a place"),
    ],
)
def test_models_that_cannot_be_masked_are_refused(name, cause):
    with pytest.raises(RecipeError, match=f"{name}.*{cause}"):
        Encoder(TINY.model_copy(update={"timm_name": name}))


def test_card_that_is_no_card_is_an_error_with_a_next_move(tmp_path):
    (tmp_path / "encoder.json").write_text('{"config": 3}')
    with pytest.raises(WeightsError, match="want a folder written by pre-training"):
        Encoder.load(tmp_path)
