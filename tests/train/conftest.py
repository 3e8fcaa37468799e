# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.corpus.reader import Corpus
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives.selective_mae import SelectiveMAEConfig
from rspipe.train.config import PretrainHow, PretrainRecipe, PretrainWhat
from tests.train.fakes import FakeCorpus

# Tiny products are fastest on one thread, and the sums are then the same on every machine.
torch.set_num_threads(1)

TINY = EncoderConfig(img_px=32, patch_px=4, width=16, depth=1, heads=2)
TINY_SELECTIVE = SelectiveMAEConfig(decoder_width=16, decoder_depth=1, decoder_heads=2)


@pytest.fixture
def corpus(monkeypatch):
    fake = FakeCorpus()
    monkeypatch.setattr(Corpus, "open", lambda path: fake)
    return fake


@pytest.fixture
def make_recipe(tmp_path):
    def make(out="run", how=None, **what):
        settings = {"steps": 12, "images_per_step": 8, "base_lr": 1e-2, "precision": "fp32"}
        fast = {"device": "cpu", "log_every_steps": 1, "pictures_every_steps": 100}
        return PretrainRecipe(
            name="tiny",
            corpus="anywhere",
            out=str(tmp_path / out),
            what=PretrainWhat(**{"encoder": TINY, "objective": TINY_SELECTIVE, **settings, **what}),
            how=PretrainHow(**fast | (how or {})),
        )

    return make
