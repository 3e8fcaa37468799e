# SPDX-License-Identifier: Apache-2.0
import torch

from rspipe.evaluate.tuning.drop_path import set_drop_path


def test_rates_rise_linearly_and_only_training_drops(tiny_encoder):
    dropping = tiny_encoder.at_size(32)
    set_drop_path(dropping.trunk, 0.9)
    assert [block.drop_path1.drop_prob for block in dropping.vit.blocks] == [0.0, 0.9]
    images = torch.randn(8, 3, 32, 32)
    torch.manual_seed(0)
    assert torch.equal(dropping.eval().tokens(images), tiny_encoder.tokens(images))
    assert not torch.equal(dropping.train().tokens(images), tiny_encoder.tokens(images))


def test_dropped_branches_keep_the_mean(tiny_encoder):
    block = tiny_encoder.at_size(32)
    set_drop_path(block.trunk, 0.5)
    last, x = block.vit.blocks[-1].train(), torch.ones(4000, 1, 1)
    torch.manual_seed(0)
    assert abs(float(last.drop_path1(x).mean()) - 1) < 0.05
