# SPDX-License-Identifier: Apache-2.0
import torch
from torch import nn

from rspipe.models.encoder import Encoder
from rspipe.train.ema import Average
from tests.train.two_processes import ENCODER


class Odd(nn.Module):
    """What learns, what is fixed, a running statistic, a counter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.fixed = nn.Parameter(torch.zeros(3), requires_grad=False)
        self.register_buffer("spread", torch.zeros(3))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


def test_average_is_the_sum_of_its_law():
    module, decay = Odd(), 0.9
    average = Average(module, decay)
    values = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for value in values:
        module.weight.data.copy_(value)
        module.spread.copy_(-value)
        average.update()
    # Unrolled: what the average was at first fades, each value fades with its age.
    ages = torch.arange(len(values) - 1, -1, -1)
    expected = ((1 - decay) * decay ** ages[:, None] * values).sum(0)
    state = average.state()
    torch.testing.assert_close(state["weight"], expected)
    torch.testing.assert_close(state["spread"], -expected)
    assert torch.equal(state["fixed"], module.fixed)


def test_average_starts_with_the_module_and_leaves_it_alone():
    encoder = Encoder.random(ENCODER, seed=0)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    average = Average(encoder, 0.5)
    average.update()
    assert all(torch.equal(average.state()[name], value) for name, value in before.items())
    assert all(torch.equal(encoder.state_dict()[name], value) for name, value in before.items())


def test_positions_stay_as_they_are_to_the_bit():
    encoder = Encoder.random(ENCODER, seed=0)
    average = Average(encoder, 0.999)
    for _ in range(50):
        average.update()
    assert torch.equal(average.state()["vit.pos_embed"], encoder.vit.pos_embed)


def test_average_goes_on_from_a_checkpoint():
    encoder = Encoder.random(ENCODER, seed=0)
    first = Average(encoder, 0.5)
    encoder.vit.cls_token.data.add_(1)
    first.update()
    second = Average(encoder, 0.5)
    second.load(first.state())
    first.update()
    second.update()
    for name, value in first.state().items():
        assert torch.equal(value, second.state()[name])
