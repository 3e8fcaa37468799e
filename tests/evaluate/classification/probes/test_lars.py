# SPDX-License-Identifier: Apache-2.0
import torch
from timm.optim.lars import Lars as TimmLars

from rspipe.evaluate.classification.probes.lars import Lars


def test_step_of_a_matrix_has_the_trust_times_the_norm_of_the_matrix():
    weight = torch.nn.Parameter(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    weight.grad = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    Lars([weight], lr=10.0, trust=1e-3).step()
    # ‖w‖ = 5, ‖g‖ = 2: the step is 10 · 0.001 · 5 along g.
    want = torch.tensor([[3.0, -0.05], [0.0, 4.0]])
    torch.testing.assert_close(weight.data, want)


def test_vector_moves_as_by_plain_momentum():
    vector = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimiser = Lars([vector], lr=0.1, momentum=0.5)
    for _ in range(2):
        vector.grad = torch.tensor([1.0, 0.0])
        optimiser.step()
    # v = 1, then 1.5.
    torch.testing.assert_close(vector.data, torch.tensor([1.0 - 0.1 - 0.15, 2.0]))


def test_decay_joins_the_gradient_before_the_trust_ratio_is_taken():
    weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
    weight.grad = torch.tensor([[0.0, -1.0]])
    Lars([weight], lr=1.0, trust=0.1, weight_decay=1.0).step()
    # g = (0, -1) + (3, 4) = (3, 3), ‖w‖ = 5: the step is 0.1 · 5 along g.
    step = 0.5 / 2**0.5
    torch.testing.assert_close(weight.data, torch.tensor([[3.0 - step, 4.0 - step]]))


def test_matrices_move_as_by_timm():
    start = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimisers = (
        Lars([ours], lr=0.3),
        TimmLars([theirs], lr=0.3, momentum=0.9, trust_coeff=1e-3, eps=0.0, always_adapt=True),
    )
    for step in range(20):
        for weight, optimiser in zip((ours, theirs), optimisers, strict=True):
            weight.grad = torch.sin(3 * weight.data + step)
            optimiser.step()
    torch.testing.assert_close(ours.data, theirs.data, rtol=1e-12, atol=1e-12)


def test_zero_matrix_still_moves():
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.ones(2, 2)
    Lars([weight], lr=0.5).step()
    torch.testing.assert_close(weight.data, torch.full((2, 2), -0.5))
