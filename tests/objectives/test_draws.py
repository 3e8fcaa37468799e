# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from scipy import stats

from rspipe.objectives.draws import Draws, mixed


def test_mixing_is_splitmix64():
    """First numbers of SplitMix64 from state 1234567, as published with its reference code."""
    gamma = 0x9E3779B97F4A7C15 - 2**64
    found = mixed(torch.tensor(1234567) + gamma * torch.arange(1, 4)).numpy().astype(np.uint64)
    assert found.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_numbers_of_an_image_do_not_depend_on_its_neighbours():
    whole = Draws(7, torch.arange(100, 108))
    parts = [Draws(7, torch.arange(100, 103)), Draws(7, torch.arange(103, 108))]
    for _ in range(3):
        cut = torch.cat([part.uniform(11) for part in parts])
        assert torch.equal(whole.uniform(11), cut)


def test_calls_seeds_and_places_give_other_numbers():
    draws = Draws(0, torch.arange(4))
    first, second = draws.uniform(64), draws.uniform(64)
    other = Draws(1, torch.arange(4)).uniform(64)
    rows = torch.cat([first, second, other]).numpy()
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(correlation).max() < 0.55  # 12 rows of 64: 4 standard deviations
    assert len(np.unique(rows)) == rows.size


@pytest.mark.parametrize("far", [1, 10**9])
def test_numbers_are_uniform(far):
    values = Draws(3, torch.arange(500) * far).uniform(200)
    assert values.dtype == torch.float32
    assert values.min() >= 0
    assert values.max() < 1
    assert stats.kstest(values.flatten().numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(values[:, 0].numpy(), "uniform").pvalue > 1e-3
