# SPDX-License-Identifier: Apache-2.0
import hashlib
import json

import pytest
import timm
import torch
from typer.testing import CliRunner

from rspipe.cli import app
from rspipe.errors import RecipeError, WeightsError
from rspipe.models.encoder import Encoder
from tests.models.released_files import TINY, make_objective, released_state


def run(*words):
    return CliRunner().invoke(app, ["weights", *map(str, words)])


def done(*words):
    result = run(*words)
    assert result.exit_code == 0, result.exception
    return result.stdout


@pytest.fixture
def released(tmp_path):
    path = tmp_path / "selective.pth"
    torch.save({"model": released_state(make_objective("selective_mae"), "selective_mae")}, path)
    return path


@pytest.fixture
def encoder_folder(tmp_path):
    Encoder.random(TINY, seed=1).save(tmp_path / "run")
    return tmp_path / "run"


def test_show_tells_layout_shape_hash_and_every_key(released):
    said = done("show", released)
    state = torch.load(released)["model"]
    assert "layout selective_mae" in said
    assert hashlib.sha256(released.read_bytes()).hexdigest() in said
    assert "width: 24" in said
    assert "dropped: hog.gkern" in said
    known = json.loads(done("show", released, "--json"))
    assert known["shape"]["depth"] == 2
    report = known["report"]
    assert sorted([*report["matched"], *report["dropped"]]) == sorted(state)


def test_show_reads_a_folder_and_its_card(encoder_folder):
    known = json.loads(done("show", encoder_folder, "--json"))
    assert known["shape"]["heads"] == 3
    assert list(known["sha256"]) == ["encoder.safetensors"]


def test_import_writes_what_evaluation_reads_and_notes_where_it_comes_from(released, tmp_path):
    out = tmp_path / "encoder"
    said = done("import", released, out, "--heads", 3, "--img-px", 48)
    assert "changed: pos_embed: interpolated" in said
    encoder = Encoder.load(out)
    assert encoder.config.img_px == 48
    note = json.loads((out / "import.json").read_text())
    assert note["source"] == "selective.pth"
    assert note["rules"] == {"heads": 3, "img_px": 48}
    assert note["report"]["is_exact"]


def test_import_prints_json_and_takes_every_rule(released, tmp_path):
    words = ["--heads", 3, "--bands", "red,green,blue,nir", "--band-rule", "repeat"]
    words += ["--mean", "0.1,0.2,0.3,0.4", "--std", "0.1,0.1,0.1,0.1", "--img-px", "32,64"]
    known = json.loads(done("import", released, tmp_path / "encoder", *words, "--json"))
    assert known["config"]["mean"] == [0.1, 0.2, 0.3, 0.4]
    assert known["config"]["bands"][3] == "nir"
    assert known["config"]["img_px"] == [32, 64]
    assert known["report"]["layout"] == "selective_mae"


@pytest.mark.parametrize(
    ("words", "error", "cause"),
    [
        ([], WeightsError, "--heads"),
        (["--heads", 3, "--img-px", "big"], RecipeError, "--img-px big"),
        (["--heads", 3, "--mean", "a,b"], RecipeError, "--mean a,b"),
        (["--heads", 3, "--mean", "1,1"], WeightsError, "both --mean and --std"),
        (["--heads", 5], WeightsError, "width=24 is no multiple of heads=5"),
    ],
)
def test_import_that_cannot_be_leaves_nothing(released, tmp_path, words, error, cause):
    wrong = run("import", released, tmp_path / "encoder", *words)
    assert isinstance(wrong.exception, error)
    assert cause in str(wrong.exception)
    assert not (tmp_path / "encoder").exists()


def test_existing_folder_is_left_alone(released, encoder_folder):
    before = sorted(encoder_folder.iterdir())
    for words in (
        ["import", released, encoder_folder, "--heads", 3],
        ["export", encoder_folder, encoder_folder, "--format", "timm"],
    ):
        wrong = run(*words)
        assert isinstance(wrong.exception, RecipeError)
        assert "not empty" in str(wrong.exception)
    assert sorted(encoder_folder.iterdir()) == before


def test_export_to_both_forms_gives_the_same_features(encoder_folder, tmp_path):
    done("export", encoder_folder, tmp_path / "timm", "--format", "timm")
    said = done("export", encoder_folder, tmp_path / "hub", "--format", "hugging_face")
    assert "README.md, config.json, model.safetensors" in said
    images = torch.randn(1, 3, 32, 32)
    want = Encoder.load(encoder_folder).tokens(images, final_norm=True)
    assert torch.equal(Encoder.load(tmp_path / "timm").tokens(images, final_norm=True), want)
    model = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True).eval()
    torch.testing.assert_close(model.forward_features(images), want, rtol=0, atol=1e-5)
    done("import", tmp_path / "hub", tmp_path / "again")
    assert torch.equal(Encoder.load(tmp_path / "again").tokens(images, final_norm=True), want)


def test_export_of_an_import_says_where_it_comes_from(released, tmp_path):
    done("import", released, tmp_path / "encoder", "--heads", 3)
    done("export", tmp_path / "encoder", tmp_path / "hub", "--format", "hugging_face")
    card = (tmp_path / "hub/README.md").read_text()
    assert "Imported from `selective.pth` (layout selective_mae" in card
    assert hashlib.sha256(released.read_bytes()).hexdigest() in card


def test_export_of_a_bare_file_names_the_import_that_comes_first(released, tmp_path):
    wrong = run("export", released, tmp_path / "hub", "--format", "timm")
    assert isinstance(wrong.exception, RecipeError)
    assert "rspipe weights import" in str(wrong.exception)
