# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rspipe.corpus.reader import Corpus
from rspipe.errors import WeightsError
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.models.hub import export_to_hub
from rspipe.models.origin import read_origin
from rspipe.objectives.mae import MAEConfig
from rspipe.train.config import PretrainHow, PretrainRecipe, PretrainWhat
from rspipe.train.trainer import pretrain
from tests.train.fakes import FakeCorpus

MANIFEST = {
    "fingerprint": "f" * 16,
    "corpus_fingerprint": "c" * 16,
    "images_seen": 2048,
    "code_commit": None,
    "recipe": {
        "name": "small",
        "corpus": "/nowhere",
        "what": {"objective": {"name": "mae"}, "steps": 3},
    },
}


def test_run_says_what_made_it_even_when_its_corpus_is_gone(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    origin = read_origin(tmp_path)
    assert (origin.name, origin.objective, origin.images_seen) == ("small", "mae", 2048)
    assert origin.corpus_fingerprint == "c" * 16
    assert json.loads(origin.recipe)["steps"] == 3
    assert origin.licences == ()


def test_run_that_pretraining_left_is_read(tmp_path, monkeypatch):
    """Its manifest is written by the trainer: what this reads must stand in it."""
    recipe = PretrainRecipe(
        name="tiny",
        corpus=str(tmp_path / "nowhere"),
        out=str(tmp_path / "run"),
        what=PretrainWhat(
            encoder=EncoderConfig(img_px=32, patch_px=4, width=16, depth=1, heads=2),
            objective=MAEConfig(decoder_width=16, decoder_depth=1, decoder_heads=2),
            steps=1,
            images_per_step=2,
            precision="fp32",
        ),
        how=PretrainHow(device="cpu"),
    )
    fake = FakeCorpus()
    with monkeypatch.context() as patch:
        patch.setattr(Corpus, "open", lambda _: fake)
        pretrain(recipe)
    origin = read_origin(tmp_path / "run")
    assert (origin.name, origin.objective, origin.images_seen) == ("tiny", "mae", 2)
    assert origin.corpus_fingerprint == fake.fingerprint
    assert json.loads(origin.recipe)["steps"] == 1
    export_to_hub(Encoder.load(tmp_path / "run"), tmp_path / "hub", origin)
    assert f"corpus `{fake.fingerprint}`" in (tmp_path / "hub/README.md").read_text()


def test_licences_are_those_of_the_corpus_that_was_read(small, tmp_path):
    """Of this very corpus: one of another fingerprint at the same place says nothing."""
    corpus = Corpus.open(small.corpus)
    manifest = MANIFEST | {"corpus_fingerprint": corpus.fingerprint}
    manifest["recipe"] = MANIFEST["recipe"] | {"corpus": str(corpus.path)}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    licences = read_origin(tmp_path).licences
    assert sum(tiles for _, tiles in licences) == len(corpus)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"corpus_fingerprint": "other"}))
    assert read_origin(tmp_path).licences == ()


def test_folder_that_notes_nothing_says_so(tmp_path):
    origin = read_origin(tmp_path)
    assert origin.name == tmp_path.name
    assert "Nothing is noted" in origin.note


@pytest.mark.parametrize("name", ["manifest.json", "import.json"])
@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_note_that_is_none_is_an_error(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(WeightsError, match=name):
        read_origin(tmp_path)
