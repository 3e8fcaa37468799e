# SPDX-License-Identifier: Apache-2.0
import json
import shutil

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from rspipe.errors import RecipeError, WeightsError
from rspipe.evaluate.encoders import ImageStatistics, of_memory, open_encoder
from rspipe.evaluate.lineup import load_encoders
from rspipe.evaluate.runner import evaluate
from rspipe.models.encoder import Encoder
from rspipe.models.hub import export_to_hub
from rspipe.models.origin import Origin
from tests.evaluate.conftest import TINY
from tests.evaluate.native_sets import write_scenes


def test_an_encoder_is_the_same_through_each_door(tiny_encoder, run_folder, tmp_path, capsys):
    export_to_hub(tiny_encoder, tmp_path / "hub", Origin("tiny"))
    doors = [open_encoder(str(place)).network for place in (run_folder, tmp_path / "hub")]
    images = torch.randn(2, 3, 32, 32)
    for encoder in doors:
        torch.testing.assert_close(encoder.tokens(images), tiny_encoder.tokens(images))
    total = len(tiny_encoder.vit.state_dict())
    assert f"{total} of {total} tensors matched" in capsys.readouterr().out


def test_bare_file_that_does_not_say_its_statistics_is_refused(tmp_path):
    vit = timm.create_model(TINY.timm_name, **TINY.timm_kwargs())
    save_file(vit.state_dict(), tmp_path / "vit.safetensors")
    with pytest.raises(WeightsError, match="mean"):
        open_encoder(str(tmp_path / "vit.safetensors"))


def test_a_run_names_its_corpus_only_for_the_weights_that_it_made(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    sha256 = open_encoder(str(tmp_path / "run")).sha256
    assert open_encoder(str(tmp_path / "run")).corpus_fingerprint is None
    for made, corpus in ((sha256, "c0ffee"), ("other weights", None)):
        said = {"encoder_sha256": made, "corpus_fingerprint": "c0ffee"}
        (tmp_path / "run" / "manifest.json").write_text(json.dumps(said))
        assert open_encoder(str(tmp_path / "run")).corpus_fingerprint == corpus


def test_missing_key_is_named(run_folder, tmp_path):
    for name in ("encoder.json", "encoder.safetensors"):
        (tmp_path / name).write_bytes((run_folder / name).read_bytes())
    state = load_file(tmp_path / "encoder.safetensors")
    del state["blocks.0.attn.qkv.bias"]
    save_file(state, tmp_path / "encoder.safetensors")
    with pytest.raises(WeightsError, match=r"missing: blocks\.0\.attn\.qkv\.bias"):
        open_encoder(str(tmp_path))


def test_changed_normalisation_is_refused_with_its_cause(run_folder, tmp_path):
    for name in ("encoder.json", "encoder.safetensors"):
        (tmp_path / name).write_bytes((run_folder / name).read_bytes())
    card = json.loads((tmp_path / "encoder.json").read_text())
    card["config"]["mean"] = [0.0, 0.0, 0.0]
    (tmp_path / "encoder.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="mean, std"):
        open_encoder(str(tmp_path))


def test_other_band_order_is_refused_with_the_way_out(tmp_path):
    config = TINY.model_copy(update={"bands": ("blue", "green", "red")})
    Encoder.random(config, seed=0).save(tmp_path)
    with pytest.raises(RecipeError, match=r"blue, green, red.*rspipe weights import --bands"):
        open_encoder(str(tmp_path))


def test_hash_tells_weights_and_statistics_apart():
    one, other = (Encoder.random(TINY, seed) for seed in (0, 1))
    shifted = Encoder.random(TINY.model_copy(update={"mean": (0.1, 0.2, 0.3)}), seed=0)
    assert len({of_memory(e) for e in (one, other, shifted)}) == 3
    assert of_memory(one) == of_memory(Encoder.random(TINY, seed=0))
    assert ImageStatistics.sha256 not in {of_memory(one), of_memory(other)}


def test_encoders_beside_stand_in_the_same_table(recipe, run_folder, tmp_path, capsys):
    Encoder.random(TINY, seed=9).save(tmp_path / "other")
    write_scenes(tmp_path / "native/hues")
    what = {"protocols": {"classification": ["knn"]}}
    beside = {"other": str(tmp_path / "other")}
    evaluate(recipe(tmp_path / "native", what=what, beside=beside))
    table = capsys.readouterr().out.splitlines()
    assert any("pretrained" in line and "other" in line for line in table)


def test_labels_beside_must_fit(recipe, run_folder, tmp_path):
    device = torch.device("cpu")
    with pytest.raises(RecipeError, match=r"beside\.random: the label is taken"):
        load_encoders(recipe(tmp_path, beside={"random": str(run_folder)}), device)
    what = {"input": {"pretraind": {"img_px": 64}}}
    with pytest.raises(RecipeError, match="did you mean 'pretrained'"):
        load_encoders(recipe(tmp_path, what=what), device)
