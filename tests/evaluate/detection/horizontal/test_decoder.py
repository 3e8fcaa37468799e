# SPDX-License-Identifier: Apache-2.0
import torch
import torch.nn.functional as F

from rspipe.evaluate.detection.horizontal.decoder import CrossAttention, DecoderLayer, groups_apart
from rspipe.evaluate.detection.horizontal.settings import PlainDETRSettings
from rspipe.models.encoder import seeded

SETTINGS = PlainDETRSettings(width=16, heads=2, hidden=24, bias_hidden=8)
GRID = (3, 4)


def inputs(queries=5):
    draws = torch.Generator().manual_seed(0)
    x, places = (torch.randn(2, queries, 16, generator=draws) for _ in range(2))
    cells = tuple(torch.randn(2, 12, 16, generator=draws) for _ in range(2))
    corners = torch.rand(2, queries, 2, 2, generator=draws).sort(dim=2).values * 60
    return x, places, corners.flatten(2), cells


def layer():
    with seeded(1):
        return DecoderLayer(SETTINGS, GRID, 16)


def test_without_bias_it_is_torch_s_attention():
    with seeded(0):
        ours, theirs = CrossAttention(16, 2), torch.nn.MultiheadAttention(16, 2, batch_first=True)
    weights = [one.weight for one in (ours.query, ours.key, ours.value)]
    biases = [one.bias for one in (ours.query, ours.key, ours.value)]
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = torch.cat(weights), torch.cat(biases)
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight, ours.out.bias
    x, _, _, (keys, values) = inputs()
    torch.testing.assert_close(
        ours(x, keys, values, torch.zeros(2, 2, 5, 12)), theirs(x, keys, values)[0]
    )


def test_the_bias_is_added_before_the_softmax():
    with seeded(0):
        attention = CrossAttention(16, 1)
    x, _, _, (keys, values) = inputs()
    bias = torch.randn(2, 1, 5, 12)
    q, k, v = attention.query(x), attention.key(keys), attention.value(values)
    shares = F.softmax(q @ k.transpose(1, 2) / 4 + bias[:, 0], dim=2)
    torch.testing.assert_close(attention(x, keys, values, bias), attention.out(shares @ v))


def test_with_zeroed_bias_networks_boxes_do_not_matter():
    one = layer()
    x, places, boxes, cells = inputs()
    assert not torch.allclose(
        one(x, places, boxes, None, cells), one(x, places, boxes + 9, None, cells)
    )
    for parameter in one.bias.parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(one(x, places, boxes, None, cells), one(x, places, boxes + 9, None, cells))


def test_groups_do_not_see_each_other():
    one = layer()
    x, places, boxes, cells = inputs()
    apart = groups_apart((2, 3), torch.device("cpu"))
    together = one(x, places, boxes, apart, cells)
    alone = one(x[:, :2], places[:, :2], boxes[:, :2], None, cells)
    torch.testing.assert_close(together[:, :2], alone)
    alone = one(x[:, 2:], places[:, 2:], boxes[:, 2:], None, cells)
    torch.testing.assert_close(together[:, 2:], alone)
