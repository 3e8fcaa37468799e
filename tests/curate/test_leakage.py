"""The two ends of the scale: no benchmark at all, and no tile at all."""

import numpy as np
import pytest

from rspipe.corpus.reader import Corpus
from rspipe.corpus.verify import verify
from rspipe.curate.config import CurateRecipe
from rspipe.curate.runner import curate
from rspipe.errors import RunError
from rspipe.io.images import encode_png


@pytest.fixture
def curated(tmp_path):
    def curated(**files):
        for name, data in files.items():
            (tmp_path / "data/set").mkdir(parents=True, exist_ok=True)
            (tmp_path / "data/set" / name).write_bytes(data)
        recipe = {"data": tmp_path / "data", "out": tmp_path / "c", "stages": tmp_path / "stages"}
        return Corpus.open(curate(CurateRecipe(name="t", **recipe)))

    return curated


def test_without_a_benchmark_nothing_leaks_and_the_card_says_that_none_was_given(curated):
    rng = np.random.default_rng(0)
    pictures = [encode_png(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for _ in range(3)]
    corpus = curated(**{f"{i}.png": data for i, data in enumerate(pictures)})
    assert verify(corpus.path) == 3
    assert "None was given" in (corpus.path / "README.md").read_text()


def test_without_a_tile_there_is_a_ledger_and_an_empty_corpus(curated, capsys):
    corpus = curated(**{"notes.txt": b"x", "broken.png": b"GIF8"})
    assert verify(corpus.path) == len(corpus) == 0
    assert corpus.ledger().num_rows == 2
    assert "no tile was kept" in capsys.readouterr().out


def test_an_empty_corpus_cannot_be_trained_on(curated):
    from rspipe.models.encoder import EncoderConfig
    from rspipe.objectives import MAE
    from rspipe.train.config import PretrainRecipe, PretrainWhat
    from rspipe.train.trainer import pretrain

    corpus = curated(**{"notes.txt": b"x"})
    what = PretrainWhat(encoder=EncoderConfig(), objective=MAE.Config(), images_per_step=1, steps=1)
    with pytest.raises(RunError, match="holds no tile"):
        pretrain(PretrainRecipe(name="t", corpus=str(corpus.path), what=what))
