# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.errors import RunError
from rspipe.models.encoder import Encoder
from rspipe.train.trained import load_trained
from rspipe.train.trainer import pretrain


def test_a_run_is_read_back_whole(corpus, make_recipe):
    recipe = make_recipe(steps=3)
    run = pretrain(recipe)
    found = load_trained(run)
    assert found.step == 3
    assert found.recipe.what.objective == recipe.what.objective
    assert not found.objective.training
    exported = Encoder.load(run).state_dict()
    for name, value in found.objective.encoder.state_dict().items():
        torch.testing.assert_close(value, exported[name], rtol=0, atol=0)
    decoder = dict(found.objective.named_parameters())
    assert any(name.startswith("decoder.") for name in decoder)


def test_what_is_not_there_is_named_with_the_next_move(tmp_path, corpus, make_recipe):
    with pytest.raises(RunError, match="rspipe pretrain"):
        load_trained(tmp_path)
    run = pretrain(make_recipe(steps=2))
    (run / "checkpoint/last").unlink()
    with pytest.raises(RunError, match="no checkpoint yet"):
        load_trained(run)
