# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.errors import WeightsError
from rspipe.models.released import LAYOUTS, from_released, recognise
from tests.models.released_files import DEAD, make_objective, released_state

RELEASED = ["mae", "cross_mae", "selective_mae"]


@pytest.mark.parametrize("layout", RELEASED)
def test_every_key_of_a_released_layout_becomes_ours_or_is_dropped_with_a_reason(layout):
    objective = make_objective(layout)
    state = released_state(objective, layout)
    renamed, report = from_released(state, "file")
    assert report.layout == layout
    assert {*report.matched, *report.dropped} == set(state)
    assert set(report.dropped) == (set(DEAD) if layout == "selective_mae" else set())
    assert all(report.dropped.values())
    own = objective.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in renamed.items())
    lacking = (
        {"encoder.vit.norm.weight", "encoder.vit.norm.bias"} if layout == "cross_mae" else set()
    )
    assert set(own) - set(renamed) == lacking


def test_own_names_are_kept():
    own = make_objective("mae").state_dict()
    renamed, report = from_released(own, "checkpoint")
    assert report.layout == "rspipe"
    assert not report.renamed
    assert list(renamed) == list(own)


def test_encoder_alone_is_a_plain_transformer_whatever_trained_it():
    state = released_state(make_objective("mae"), "mae")
    encoder = {k: v for k, v in state.items() if not k.startswith(("decoder", "mask_token"))}
    assert recognise(encoder, "file").name == "vit"


@pytest.mark.parametrize("layout", RELEASED)
def test_key_that_the_layout_does_not_know_is_an_error(layout):
    state = released_state(make_objective(layout), layout) | {"teacher.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"unexpected: teacher\.weight"):
        from_released(state, "file")


@pytest.mark.parametrize("state", [{}, {"layer1.0.conv1.weight": torch.zeros(1)}])
def test_keys_of_no_known_layout_are_an_error_that_lists_those_known(state):
    with pytest.raises(WeightsError, match="no known layout.*" + ", ".join(LAYOUTS)):
        from_released(state, "file")
