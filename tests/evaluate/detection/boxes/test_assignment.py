# SPDX-License-Identifier: Apache-2.0
import torch

from rspipe.evaluate.detection.boxes.assignment import NOTHING, UNDECIDED, assign, draw
from rspipe.models.encoder import seeded


def test_rule_by_rule():
    overlaps = torch.tensor(
        [
            [0.80, 0.10],  # enough
            [0.71, 0.75],  # enough with both: the higher
            [0.50, 0.10],  # neither enough nor too little
            [0.29, 0.10],  # too little
            [0.10, 0.20],
        ]
    )
    want = [0, 1, UNDECIDED, NOTHING, NOTHING]
    assert assign(overlaps, 0.7, 0.3).tolist() == want


def test_best_boxes_learn_an_object_that_none_covers_well():
    overlaps = torch.tensor([[0.35, 0.0], [0.35, 0.25], [0.2, 0.1]])
    assert assign(overlaps, 0.7, 0.3, 0.3).tolist() == [0, 0, NOTHING]
    # torchvision's Matcher would give row 1 to object 1, which overlaps it by 0.25 at best.
    assert assign(overlaps, 0.7, 0.3, 0.2).tolist() == [0, 1, NOTHING]
    assert assign(overlaps, 0.7, 0.3).tolist() == [UNDECIDED, UNDECIDED, NOTHING]


def test_without_objects_all_learn_nothing():
    assert assign(torch.zeros(3, 0), 0.7, 0.3, 0.3).tolist() == [NOTHING] * 3
    assert assign(torch.zeros(0, 2), 0.7, 0.3, 0.3).tolist() == []


def test_draws_are_of_their_kind_and_number():
    owner = torch.tensor([3, 0, 1, 2] + [NOTHING] * 20 + [UNDECIDED] * 5)
    with seeded(0):
        here, nowhere = draw(owner, 8, 0.25)
        again = draw(owner, 100, 0.5)
    assert len(here) == 2
    assert len(nowhere) == 6
    assert (owner[here] >= 0).all()
    assert (owner[nowhere] == NOTHING).all()
    assert [len(part) for part in again] == [4, 20]
    with seeded(0):
        assert torch.equal(draw(owner, 8, 0.25)[1], nowhere)
