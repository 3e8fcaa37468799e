# SPDX-License-Identifier: Apache-2.0
from itertools import permutations

import pytest
import torch
from torchvision.ops import generalized_box_iou, sigmoid_focal_loss

from rspipe.evaluate.detection.horizontal.matching import (
    Said,
    match,
    move,
    pair_costs,
    set_loss,
    to_deltas,
)
from rspipe.evaluate.detection.horizontal.settings import SetLossSettings
from rspipe.evaluate.detection.tuning.objects import Objects

SETTINGS = SetLossSettings()
NONE = Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def drawn_boxes(*shape, draws):
    corners = torch.rand(*shape, 2, 2, generator=draws).sort(dim=-2).values * 50
    return (corners + torch.tensor([[0.0, 0], [4, 4]])).flatten(-2)


def case(seed=0, queries=5, objects=3):
    draws = torch.Generator().manual_seed(seed)
    references = drawn_boxes(1, queries, draws=draws)
    deltas = torch.randn(1, queries, 4, generator=draws) * 0.3
    logits = torch.randn(1, queries, 2, generator=draws)
    said = Said(logits, deltas, references, move(references, deltas))
    labels = torch.randint(2, (objects,), generator=draws)
    return said, Objects(drawn_boxes(objects, draws=draws), labels)


def test_deltas_there_and_back_is_identity():
    said, objects = case(queries=3)
    deltas = to_deltas(objects.boxes, said.references[0])
    torch.testing.assert_close(move(said.references[0], deltas), objects.boxes)
    unmoved = move(said.references, torch.zeros(1, 3, 4))
    torch.testing.assert_close(unmoved, said.references)


def test_no_delta_makes_a_box_vanish_or_burst():
    box = torch.tensor([[10.0, 20, 26, 52]])
    for far, factor in ((-99.0, 16 / 1000), (99.0, 1000 / 16)):
        x0, y0, x1, y1 = move(box, torch.tensor([[0, 0, far, far]]))[0].tolist()
        assert x1 - x0 == pytest.approx(16 * factor, rel=1e-4)
        assert y1 - y0 == pytest.approx(32 * factor, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_matching_costs_least_of_all_matchings(seed):
    said, objects = case(seed)
    costs = pair_costs(said, 0, objects, SETTINGS)
    queries, owned = match(said, 0, objects, SETTINGS)
    least = min(
        sum(costs[q, g] for g, q in enumerate(chosen)) for chosen in permutations(range(5), 3)
    )
    assert sorted(owned.tolist()) == [0, 1, 2]
    assert len(set(queries.tolist())) == 3
    torch.testing.assert_close(costs[queries, owned].sum(), least)


def test_costs_are_those_of_the_losses():
    """A pair's box costs are what the losses of the pair would be, up to the constant of GIoU."""
    said, objects = case()
    costs = pair_costs(said, 0, objects, SETTINGS)
    logit, label = said.logits[0, 2], objects.labels[1]
    yes, no = (sigmoid_focal_loss(logit[label], torch.tensor(t), 0.25, 2.0) for t in (1.0, 0.0))
    l1 = (said.deltas[0, 2] - to_deltas(objects.boxes[1:2], said.references[0, 2:3])[0]).abs().sum()
    overlap = generalized_box_iou(said.boxes[0, 2:3], objects.boxes[1:2])[0, 0]
    torch.testing.assert_close(costs[2, 1], 2 * (yes - no) + l1 - 2 * overlap)


def test_the_loss_of_perfect_queries_is_that_of_the_silent_ones_alone():
    _, objects = case()
    boxes = objects.boxes[None]
    logits = torch.full((1, 3, 2), -12.0)
    logits[0, torch.arange(3), objects.labels] = 12.0
    perfect = Said(logits, torch.zeros(1, 3, 4), boxes, boxes)
    assert set_loss(perfect, [objects], SETTINGS).item() == pytest.approx(0, abs=1e-4)


def test_without_objects_all_queries_learn_silence():
    said, _ = case()
    loss = set_loss(said, [NONE], SETTINGS)
    silence = sigmoid_focal_loss(said.logits, torch.zeros(1, 5, 2), 0.25, 2.0, reduction="sum")
    torch.testing.assert_close(loss, 2 * silence)


def test_more_objects_than_queries_leaves_objects_without_one():
    said, objects = case(queries=2, objects=6)
    queries, owned = match(said, 0, objects, SETTINGS)
    assert sorted(queries.tolist()) == [0, 1]
    assert len(set(owned.tolist())) == 2
    assert set_loss(said, [objects], SETTINGS).isfinite()


def test_weights_that_are_no_numbers_give_a_loss_that_is_none():
    said, objects = case()
    nan = float("nan")
    broken = Said(*(part * nan for part in (said.logits, said.deltas, said.references, said.boxes)))
    assert set_loss(broken, [objects], SETTINGS).isnan()
