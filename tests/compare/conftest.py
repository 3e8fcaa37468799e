# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import yaml

from rspipe.compare.config import CompareRecipe
from rspipe.corpus.reader import Corpus
from rspipe.recipe import validate
from rspipe.train.trainer import pretrain
from tests.evaluate.native_sets import write_scenes
from tests.train.fakes import FakeCorpus

torch.set_num_threads(1)

DECODER = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
BASE = {
    "name": "tiny",
    "corpus": "anywhere",
    "what": {
        "encoder": {"img_px": 32, "patch_px": 8, "width": 16, "depth": 1, "heads": 2},
        "objective": {"name": "selective_mae", "selection": "random", "lr_rule": "none", **DECODER},
        "images_per_step": 8,
        "steps": 999,
        "base_lr": 1e-2,
        "precision": "fp32",
    },
}
MACS = 3e7


class Trainer:
    """Does runs in this process and remembers which."""

    def __init__(self):
        self.done = []

    def __call__(self, runs, parallel):
        for run in runs:
            pretrain(run.recipe)
            self.done.append(run.recipe.name)


@pytest.fixture
def train():
    return Trainer()


@pytest.fixture
def make_compare(tmp_path, monkeypatch):
    """Build a small comparison on a corpus in memory; keys replace the defaults."""
    fake = FakeCorpus()
    monkeypatch.setattr(Corpus, "open", lambda path: fake)
    write_scenes(tmp_path / "native" / "hues")
    base = tmp_path / "base.yaml"

    def make(base_what=None, **said) -> CompareRecipe:
        base.write_text(yaml.safe_dump(BASE | {"what": BASE["what"] | (base_what or {})}))
        plain = {
            "name": "tiny",
            "base": str(base),
            "out": str(tmp_path / "out"),
            "variants": {
                "mae": {"what": {"objective": {"name": "mae", **DECODER}}},
                "random": {"what": {}},
            },
            "budget": {"macs": MACS},
            "seeds": [0, 1],
            "judge": {
                "data": str(tmp_path / "native"),
                "benchmark": "hues",
                "what": {
                    "protocols": {"classification": ["knn"]},
                    "bootstrap": {"resamples": 20},
                },
            },
            "how": {"device": "cpu", "torch_threads": 1},
            **said,
        }
        return validate(plain, CompareRecipe, "test")

    return make
