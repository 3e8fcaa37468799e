# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from rspipe.errors import WeightsError
from rspipe.models.encoder import Encoder
from rspipe.models.importing import ImportRules, import_encoder
from rspipe.models.shapes import IMAGENET_MEAN, IMAGENET_STD
from tests.models.released_files import DEAD, TINY, make_objective, released_state

ORACLES = Path(__file__).parents[1] / "objectives/oracles"
RELEASED = ["mae", "cross_mae", "selective_mae"]
HEADS = ImportRules(heads=3)  # width 24 is of no published transformer


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def write(state, folder, name="file.pth"):
    path = folder / name
    if path.suffix == ".safetensors":
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    else:
        torch.save({"model": state, "epoch": 800}, path)
    return path


def account(report, state):
    """Every key of the file stands in exactly one list."""
    assert sorted([*report.matched, *report.dropped]) == sorted(state)
    assert set(report.renamed) <= set(report.matched)


@pytest.mark.parametrize("layout", RELEASED)
def test_released_layout_round_trips_to_the_same_features(layout, tmp_path, images):
    objective = make_objective(layout)
    state = released_state(objective, layout)
    encoder = import_encoder(write(state, tmp_path), HEADS)
    assert torch.equal(
        encoder.tokens(images, final_norm=True), objective.encoder.tokens(images, final_norm=True)
    )
    assert encoder.config == TINY
    report = encoder.report
    account(report, state)
    assert report.layout == layout
    assert not report.changed
    assert set(report.filled) == ({"norm.weight", "norm.bias"} if layout == "cross_mae" else set())
    assert report.total == len(encoder.vit.state_dict())
    assert "decoder_pred.bias" in report.dropped
    assert layout != "selective_mae" or set(DEAD) < set(report.dropped)


@pytest.mark.parametrize("layout", RELEASED)
def test_oracle_files_import_and_give_their_latent(layout, tmp_path):
    """Against the released programs; CrossMAE's file holds no latent, so only its keys."""
    for path in sorted(ORACLES.glob(f"{layout}_s*.npz")):
        oracle = np.load(path)
        state = {
            k.removeprefix("weights/"): torch.from_numpy(oracle[k])
            for k in oracle.files
            if k.startswith("weights/")
        }
        heads = int(oracle["config"][4])
        encoder = import_encoder(write(state, tmp_path), ImportRules(heads=heads))
        account(encoder.report, state)
        img, patch, width, depth = oracle["config"][:4].tolist()
        config = encoder.config
        assert (config.img_px, config.patch_px, config.width, config.depth) == (
            *(img, patch, width, depth),
        )
        if "latent" in oracle.files:
            with torch.no_grad():
                latent = encoder.encode_visible(
                    torch.from_numpy(oracle["images"]), torch.from_numpy(oracle["ids_keep"])
                )
            torch.testing.assert_close(
                latent, torch.from_numpy(oracle["latent"]), rtol=0, atol=1e-5
            )


@pytest.mark.parametrize("name", ["file.pth", "file.safetensors"])
def test_timm_model_imports_with_timms_own_features(name, tmp_path):
    """A published shape: heads come from its width, statistics must be given."""
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=0).eval()
    torch.nn.init.normal_(model.pos_embed)
    rules = ImportRules(mean=(0.5,) * 3, std=(0.5,) * 3)
    encoder = import_encoder(write(model.state_dict(), tmp_path, name), rules)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found, want = encoder.tokens(images, final_norm=True), model.forward_features(images)
        assert torch.equal(encoder.vit.forward_features(images), want)
    torch.testing.assert_close(found, want, rtol=0, atol=1e-5)
    assert encoder.config.heads == 3
    assert "vit_tiny_patch16_224" in encoder.report.assumed["heads"]
    assert encoder.config.mean == (0.5,) * 3


def test_classifier_is_dropped_only_when_that_is_asked(tmp_path):
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, num_classes=7)
    path = write(model.state_dict(), tmp_path)
    rules = ImportRules(mean=(0.5,) * 3, std=(0.5,) * 3)
    with pytest.raises(WeightsError, match=r"unexpected: head\.weight, head\.bias.*--drop-head"):
        import_encoder(path, rules)
    encoder = import_encoder(path, ImportRules(mean=(0.5,) * 3, std=(0.5,) * 3, drop_head=True))
    assert list(encoder.report.dropped) == ["head.weight", "head.bias"]
    account(encoder.report, model.state_dict())


def test_fine_tuned_file_without_final_norm_wants_a_plain_one_asked_for(tmp_path, images):
    state = released_state(make_objective("mae"), "mae")
    state = {k: v for k, v in state.items() if not k.startswith(("decoder", "mask_token", "norm."))}
    state |= {"fc_norm.weight": torch.ones(24), "head.bias": torch.zeros(3)}
    path = write(state, tmp_path)
    rules = {"heads": 3, "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "drop_head": True}
    with pytest.raises(WeightsError, match=r"missing: norm\.weight, norm\.bias.*--plain-norm"):
        import_encoder(path, ImportRules(**rules))
    encoder = import_encoder(path, ImportRules(**rules, plain_norm=True))
    assert set(encoder.report.filled) == {"norm.weight", "norm.bias"}
    assert torch.equal(encoder.tokens(images), make_objective("mae").encoder.tokens(images))


def test_half_precision_is_widened_and_said(tmp_path):
    state = {k: v.half() for k, v in released_state(make_objective("mae"), "mae").items()}
    encoder = import_encoder(write(state, tmp_path), HEADS)
    assert encoder.report.changed["cls_token"] == "float16 to float32"
    assert encoder.vit.cls_token.dtype == torch.float32


def faulty(fault):
    state = released_state(make_objective("mae"), "mae")
    if fault == "missing":
        del state["blocks.1.attn.qkv.bias"]
    elif fault == "no positions":
        del state["pos_embed"]
    elif fault == "missing block":
        state = {k: v for k, v in state.items() if not k.startswith("blocks.0.")}
    elif fault == "unexpected":
        state["blocks.1.ls1.gamma"] = torch.ones(24)
    elif fault == "wrong shape":
        state["blocks.1.mlp.fc2.weight"] = torch.zeros(24, 95)
    elif fault == "dimensions":
        state["pos_embed"] = state["pos_embed"][0]
    elif fault == "not finite":
        state["blocks.1.norm1.weight"] = torch.full((24,), float("nan"))
    elif fault == "quantised":
        state["blocks.1.norm1.weight"] = torch.ones(24, dtype=torch.int8)
    elif fault == "scalar":
        state["cls_token"] = torch.tensor(0.0)
    elif fault == "grid":
        state["pos_embed"] = state["pos_embed"][:, :-1]
    elif fault == "oblong":
        state["pos_embed"] = state["pos_embed"][:, :-2]
    return state


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", r"missing: blocks\.1\.attn\.qkv\.bias"),
        ("no positions", r"missing: pos_embed"),
        ("missing block", r"missing: blocks \[0\] of 2"),
        ("unexpected", r"unexpected: blocks\.1\.ls1\.gamma"),
        ("wrong shape", r"wrong shape: blocks\.1\.mlp\.fc2\.weight \(24, 95\), want \(24, 96\)"),
        ("dimensions", r"wrong shape: pos_embed \(17, 24\)"),
        ("not finite", r"blocks\.1\.norm1\.weight .* something else than finite numbers"),
        ("quantised", r"blocks\.1\.norm1\.weight \(torch.int8\).*quantised"),
        ("scalar", r"wrong shape: cls_token"),
        ("grid", "none for the class token"),
        ("oblong", "no square grid.*--file-px"),
    ],
)
def test_file_that_does_not_fit_is_refused_and_the_cause_named(fault, words, tmp_path):
    path = write(faulty(fault), tmp_path)
    with pytest.raises(WeightsError, match=words) as error:
        import_encoder(path, HEADS)
    assert str(path) in str(error.value)


def test_unknown_heads_and_unknown_statistics_are_asked_for(tmp_path):
    state = released_state(make_objective("mae"), "mae")
    with pytest.raises(WeightsError, match=r"width 24.*--heads"):
        import_encoder(write(state, tmp_path))
    bare = {k: v for k, v in state.items() if not k.startswith(("decoder", "mask_token"))}
    with pytest.raises(WeightsError, match=r"standardised.*--mean and --std"):
        import_encoder(write(bare, tmp_path), HEADS)
    encoder = import_encoder(
        write(bare, tmp_path), ImportRules(heads=3, timm_name="vit_base_patch16_224.augreg_in21k")
    )
    assert encoder.config.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "divide.*by 255"),
        ((0.5, 0.5), (0.5, 0.5), "each of 3 bands"),
        ((0.5, 0.5, 0.5), (0.0, 0.5, 0.5), "want values scaled"),
        ((0.5, 0.5, 0.5), None, "both --mean and --std"),
    ],
)
def test_wrong_statistics_are_refused(mean, std, words, tmp_path):
    path = write(released_state(make_objective("mae"), "mae"), tmp_path)
    with pytest.raises(WeightsError, match=words):
        import_encoder(path, ImportRules(heads=3, mean=mean, std=std))


def test_other_band_count_is_refused_without_a_rule(tmp_path):
    path = write(released_state(make_objective("mae"), "mae"), tmp_path)
    four = ImportRules(heads=3, bands=("red", "green", "blue", "nir"))
    with pytest.raises(WeightsError, match=r"reads 3 bands, 4 are named.*--band-rule"):
        import_encoder(path, four)


def test_bands_by_name_reorder_weights_and_statistics(tmp_path, images):
    path = write(released_state(make_objective("mae"), "mae"), tmp_path)
    plain = import_encoder(path, HEADS)
    swapped = import_encoder(
        path, ImportRules(heads=3, bands=("blue", "green", "red"), band_rule="by_name")
    )
    torch.testing.assert_close(swapped.tokens(images.flip(1)), plain.tokens(images))
    assert swapped.config.mean == tuple(reversed(IMAGENET_MEAN))
    assert swapped.config.bands == ("blue", "green", "red")
    assert "patch_embed.proj.weight" in swapped.report.changed
    with pytest.raises(WeightsError, match="not nir; --band-rule repeat"):
        import_encoder(path, ImportRules(heads=3, bands=("red", "nir"), band_rule="by_name"))


def test_repeated_bands_are_timms(tmp_path):
    """Against timm's own model for four bands."""
    state = released_state(make_objective("mae"), "mae")
    path = write(state, tmp_path)
    rule = {"heads": 3, "bands": ("red", "green", "blue", "nir"), "band_rule": "repeat"}
    with pytest.raises(WeightsError, match="wants --mean and --std"):
        import_encoder(path, ImportRules(**rule))
    encoder = import_encoder(path, ImportRules(**rule, mean=(0.4,) * 4, std=(0.2,) * 4))
    weight = state["patch_embed.proj.weight"]
    want = torch.cat([weight, weight[:, :1]], dim=1) * 3 / 4
    torch.testing.assert_close(encoder.vit.patch_embed.proj.weight.detach(), want)
    assert encoder.config.mean == (0.4,) * 4


@pytest.mark.parametrize("img_px", [48, (16, 64)])
def test_other_image_size_interpolates_positions_and_says_so(img_px, tmp_path):
    """(16, 64) has as many patches as the file, on another grid."""
    state = released_state(make_objective("mae"), "mae")
    path = write(state, tmp_path)
    assert "pos_embed" not in import_encoder(path, ImportRules(heads=3, img_px=32)).report.changed
    encoder = import_encoder(path, ImportRules(heads=3, img_px=img_px))
    assert encoder.config.img_px == img_px
    assert f"to {encoder.config.grid}" in encoder.report.changed["pos_embed"]
    want = timm.layers.resample_abs_pos_embed(
        state["pos_embed"], list(encoder.config.grid), [4, 4], num_prefix_tokens=1
    )
    assert torch.equal(encoder.vit.pos_embed.detach(), want)
    with pytest.raises(WeightsError, match="img_px=30 is no multiple of patch_px=8"):
        import_encoder(path, ImportRules(heads=3, img_px=30))


def test_oblong_file_imports_when_its_size_is_given(tmp_path):
    config = TINY.model_copy(update={"img_px": (16, 40)})
    objective = make_objective("mae", config)
    path = write(released_state(objective, "mae"), tmp_path)
    encoder = import_encoder(path, ImportRules(heads=3, file_px=(16, 40)))
    assert encoder.config == config
    with pytest.raises(WeightsError, match=r"10 positions .* \(16, 48\) px have 12 patches"):
        import_encoder(path, ImportRules(heads=3, file_px=(16, 48), img_px=32))


def test_encoder_folder_imports_at_another_size_but_what_its_card_says_is_no_choice(tmp_path):
    Encoder.random(TINY, seed=1).save(tmp_path)
    assert import_encoder(tmp_path, ImportRules(img_px=48)).config.img_px == 48
    with pytest.raises(WeightsError, match=r"heads=2, its card says 3"):
        import_encoder(tmp_path, ImportRules(heads=2))
    with pytest.raises(WeightsError, match=r"mean=.*its card says \(0.485"):
        import_encoder(tmp_path, ImportRules(mean=(0.5,) * 3, std=(0.5,) * 3))


def test_architecture_with_parts_unknown_to_masking_is_refused(tmp_path):
    """CLIP's transformer has a norm before its blocks."""
    name = "vit_base_patch16_clip_224"
    model = timm.create_model(name, img_size=32, embed_dim=24, depth=1, num_heads=3, num_classes=0)
    path = write(model.state_dict(), tmp_path)
    rules = ImportRules(heads=3, mean=(0.5,) * 3, std=(0.5,) * 3, timm_name=name)
    with pytest.raises(WeightsError, match="a norm before the blocks"):
        import_encoder(path, rules)


def test_features_other_than_timms_are_refused(tmp_path, monkeypatch):
    timms = VisionTransformer.forward_features
    monkeypatch.setattr(VisionTransformer, "forward_features", lambda v, x: 1.01 * timms(v, x))
    path = write(released_state(make_objective("mae"), "mae"), tmp_path)
    with pytest.raises(WeightsError, match="differ from ours by"):
        import_encoder(path, HEADS)


def test_layer_scale_is_known_to_the_architecture_that_is_named(tmp_path):
    name = "vit_small_patch14_dinov2"
    model = timm.create_model(
        name, img_size=28, embed_dim=24, depth=2, num_heads=3, num_classes=0
    ).eval()
    torch.nn.init.normal_(model.blocks[0].ls1.gamma)
    path = write(model.state_dict(), tmp_path)
    encoder = import_encoder(path, ImportRules(heads=3, timm_name=name + ".lvd142m"))
    images = torch.randn(1, 3, 28, 28)
    torch.testing.assert_close(
        encoder.tokens(images, final_norm=True), model.forward_features(images), rtol=0, atol=1e-5
    )
    encoder.save(tmp_path / "out")
    assert Encoder.load(tmp_path / "out").config.timm_name.startswith(name)
    card = json.loads((tmp_path / "out/encoder.json").read_text())
    assert card["mean"] == list(IMAGENET_MEAN)
