# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from rspipe.errors import WeightsError
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.models.hub import export_to_hub
from rspipe.models.importing import ImportRules, import_encoder
from rspipe.models.origin import Origin
from tests.models.released_files import TINY

FOUR_BANDS = EncoderConfig(
    img_px=(16, 48),
    patch_px=8,
    width=24,
    depth=1,
    heads=2,
    mlp_ratio=3,
    in_chans=4,
    bands=("blue", "green", "red", "nir"),
    mean=(0.1, 0.2, 0.3, 0.4),
    std=(0.1, 0.1, 0.2, 0.2),
)


@pytest.fixture(params=[TINY, FOUR_BANDS], ids=["rgb", "four_bands"])
def exported(request, tmp_path):
    encoder = Encoder.random(request.param, seed=3).eval()
    torch.nn.init.normal_(encoder.vit.pos_embed)
    folder = tmp_path / "hub"
    export_to_hub(encoder, folder, Origin("tiny"))
    return encoder, folder


def test_timm_loads_the_folder_strictly_and_computes_the_same(exported):
    encoder, folder = exported
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    state = encoder.vit.state_dict()
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    images = torch.randn(2, encoder.config.in_chans, *encoder.config.size_px)
    with torch.no_grad():
        assert torch.equal(model.forward_features(images), encoder.vit.forward_features(images))
        torch.testing.assert_close(
            model(images), encoder.tokens(images, final_norm=True)[:, 0], rtol=0, atol=1e-5
        )


def test_timm_refuses_the_folder_when_a_tensor_is_gone(exported):
    _, folder = exported
    state = load_file(folder / "model.safetensors")
    del state["norm.bias"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(RuntimeError, match=r"norm\.bias"):
        timm.create_model(f"local-dir:{folder}", pretrained=True)


def test_timms_transform_prepares_a_picture_as_we_do(tmp_path):
    """Of the input size to the bit; of another size up to the rounding of a resized byte."""
    encoder = Encoder.random(TINY, seed=3)
    export_to_hub(encoder, tmp_path / "hub", Origin("tiny"))
    model = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True)
    config = timm.data.resolve_model_data_config(model)
    assert tuple(config["mean"]) == TINY.mean
    assert tuple(config["std"]) == TINY.std
    transform = timm.data.create_transform(**config, is_training=False)
    generator = np.random.default_rng(0)
    for shape, tolerance in (((32, 32, 3), 1e-6), ((50, 70, 3), 1 / 255 / min(TINY.std))):
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        found = transform(Image.fromarray(pixels))[None]
        torch.testing.assert_close(found, encoder.preprocess(pixels[None]), rtol=0, atol=tolerance)


def test_folder_comes_back_with_bands_and_statistics(exported):
    encoder, folder = exported
    again = import_encoder(folder)
    assert again.config == encoder.config
    assert len(again.report.matched) == again.report.total
    images = torch.randn(1, encoder.config.in_chans, *encoder.config.size_px)
    assert torch.equal(again.tokens(images), encoder.tokens(images))


def test_weights_of_another_run_are_refused(exported):
    encoder, folder = exported
    save_file(Encoder.random(encoder.config, seed=8).vit.state_dict(), folder / "model.safetensors")
    with pytest.raises(WeightsError, match="not of one run"):
        import_encoder(folder)


def test_wrong_statistics_in_the_card_are_found_by_the_golden_features(exported):
    _, folder = exported
    config = json.loads((folder / "config.json").read_text())
    config["rspipe"]["config"]["mean"][0] += 0.2
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="differ by"):
        import_encoder(folder)


def test_folder_that_timm_itself_wrote_imports(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=1, num_classes=3).eval()
    timm.models.save_for_hf(
        model,
        tmp_path / "hf",
        safe_serialization=True,
        data_config={"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)},
    )
    encoder = import_encoder(tmp_path / "hf", ImportRules(drop_head=True))
    assert encoder.config.mean == (0.1, 0.2, 0.3)
    assert encoder.config.img_px == (64, 64)
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(
        encoder.tokens(images, final_norm=True), model.forward_features(images), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"pretrained_cfg": 3, "architecture": "x"}'])
def test_card_that_is_no_card_is_an_error(tmp_path, text):
    export_to_hub(Encoder.random(TINY, seed=3), tmp_path / "hub", Origin("tiny"))
    (tmp_path / "hub/config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json"):
        import_encoder(tmp_path / "hub")


def test_model_card_is_valid_and_says_what_is_known(tmp_path):
    origin = Origin(
        name="tiny",
        objective="selective_mae",
        fingerprint="f" * 16,
        corpus_fingerprint="c" * 16,
        images_seen=1_234_567,
        code_commit="abc",
        recipe='{"steps": 3}',
        licences=(("CC-BY-4.0", 1000), ("not stated", 7)),
    )
    export_to_hub(Encoder.random(TINY, seed=3), tmp_path / "hub", origin)
    _, front, body = (tmp_path / "hub/README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["library_name"] == "timm"
    for words in (
        *("selective_mae", "1,234,567", "c" * 16, '{"steps": 3}', "| CC-BY-4.0 | 1,000 |"),
        *("| red | 0.485 | 0.229 |", "local-dir:hub", "AutoModel"),
    ):
        assert words in body


def test_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(WeightsError, match="not empty"):
        export_to_hub(Encoder.random(TINY, seed=3), tmp_path, Origin("tiny"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_arguments_that_transformers_gives_itself_are_not_repeated(exported):
    """Its TimmWrapperModel calls timm with num_classes=0 beside `model_args`: twice is an error."""
    _, folder = exported
    config = json.loads((folder / "config.json").read_text())
    assert not {"num_classes", "global_pool"} & set(config["model_args"])
    assert config["num_classes"] == config["pretrained_cfg"]["num_classes"] == 0
