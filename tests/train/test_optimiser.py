# SPDX-License-Identifier: Apache-2.0
import pytest
import timm.optim
import torch

from rspipe.objectives import MAE, build
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAEConfig
from rspipe.train.config import InitFrom
from rspipe.train.optimiser import make_optimiser, parameter_groups, set_rate
from tests.train.two_processes import ENCODER

DECODER = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


@pytest.fixture
def mae():
    return MAE(MAEConfig(**DECODER), ENCODER)


@pytest.fixture
def decayed_by_layer(make_recipe):
    return make_recipe(init_from=InitFrom(path="somewhere"), layer_decay=0.5).what


def of(groups, key):
    """The key of each parameter's group."""
    return {id(p): group.get(key, 1.0) for group in groups for p in group["params"]}


def test_weight_decay_is_on_matrices_only(mae, make_recipe):
    decay = of(parameter_groups(mae, make_recipe().what), "weight_decay")
    for name, parameter in mae.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim > 1 and not name.endswith("token")
            assert decay[id(parameter)] == (0.05 if is_matrix else 0.0), name


@pytest.mark.parametrize("decayed", [False, True])
def test_each_learning_parameter_is_in_one_group_and_fixed_ones_in_none(
    make_recipe, decayed_by_layer, decayed
):
    objective = build(SelectiveMAEConfig(**DECODER), ENCODER, seed=0)
    groups = parameter_groups(objective, decayed_by_layer if decayed else make_recipe().what)
    found = sorted(id(p) for group in groups for p in group["params"])
    assert found == sorted(id(p) for p in objective.parameters() if p.requires_grad)


def test_rates_of_encoder_layers_are_timms(mae, decayed_by_layer):
    ours = parameter_groups(mae, decayed_by_layer)
    timms = timm.optim.param_groups_layer_decay(
        mae.encoder.vit,
        weight_decay=0.05,
        no_weight_decay_list=mae.encoder.vit.no_weight_decay(),
        layer_decay=0.5,
    )
    for key in ("lr_scale", "weight_decay"):
        mine, theirs = of(ours, key), of(timms, key)
        assert {name: mine[name] for name in theirs} == theirs


def test_embedding_learns_slowest_and_the_decoder_at_the_full_rate(mae, decayed_by_layer):
    optimiser = make_optimiser(mae, decayed_by_layer)
    set_rate(optimiser, 8.0)
    rates = of(optimiser.param_groups, "lr")
    vit = mae.encoder.vit
    at = [vit.patch_embed.proj.weight, *(block.mlp.fc1.weight for block in vit.blocks)]
    assert [rates[id(p)] for p in at] == [2.0, 4.0, 8.0]
    assert rates[id(mae.decoder.predict.weight)] == 8.0


def test_step_that_is_to_be_left_out_changes_nothing(mae, make_recipe):
    optimiser = make_optimiser(mae, make_recipe().what)
    before = {name: value.clone() for name, value in mae.state_dict().items()}
    for parameter in mae.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    optimiser.found_inf = torch.ones(())
    optimiser.step()
    assert all(torch.equal(before[name], value) for name, value in mae.state_dict().items())
    for parameter in mae.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.found_inf = torch.zeros(())
    optimiser.step()
    assert not torch.equal(before["decoder.predict.weight"], mae.decoder.predict.weight)
