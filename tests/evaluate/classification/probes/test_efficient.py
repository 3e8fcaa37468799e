# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F

from rspipe.evaluate.classification.probes.efficient import EfficientProbe


def tokens_of(count=5, width=24, images=3):
    return torch.randn(images, count, width, generator=torch.Generator().manual_seed(0))


def probe_of(queries=4, shrink=1, width=24):
    torch.manual_seed(1)
    probe = EfficientProbe(width, queries, shrink)
    torch.nn.init.normal_(probe.queries)
    return probe


@torch.no_grad()
def test_zero_queries_give_the_value_of_the_mean_token():
    """E2."""
    probe, tokens = probe_of(shrink=2), tokens_of()
    torch.nn.init.zeros_(probe.queries)
    want = tokens.mean(dim=1) @ probe.value_weight.T
    torch.testing.assert_close(probe(tokens), want, rtol=0, atol=1e-6)


@torch.no_grad()
def test_order_and_repetition_of_tokens_change_nothing():
    """E2."""
    probe, tokens = probe_of(), tokens_of()
    want = probe(tokens)
    torch.testing.assert_close(probe(tokens[:, [3, 0, 4, 1, 2]]), want, rtol=0, atol=1e-6)
    torch.testing.assert_close(probe(torch.cat([tokens, tokens], 1)), want, rtol=0, atol=1e-6)


@torch.no_grad()
def test_one_query_is_single_query_attention():
    probe, tokens = probe_of(queries=1), tokens_of()
    query = probe.queries.expand(3, 1, 24)
    want = F.scaled_dot_product_attention(query, tokens, tokens @ probe.value_weight.T)
    torch.testing.assert_close(probe(tokens), want[:, 0], rtol=0, atol=1e-6)


@torch.no_grad()
def test_attention_of_each_query_adds_up_to_one():
    probe, tokens = probe_of(), tokens_of()
    attention = probe.attention(tokens)
    assert attention.shape == (3, 4, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 4))


@pytest.mark.parametrize(
    ("width", "queries", "shrink", "pool", "total"),
    [
        (768, 32, 1, 614_400, 1_383_400),
        (768, 12, 1, 599_040, 1_368_040),
        (768, 48, 8, 110_592, 207_592),
        (1024, 32, 1, 1_081_344, 2_106_344),
        (384, 32, 1, 159_744, 544_744),
    ],
)
def test_parameters_are_as_many_as_published(width, queries, shrink, pool, total):
    """E3, with the classifier of 1,000 classes."""
    with torch.device("meta"):
        found = sum(p.numel() for p in EfficientProbe(width, queries, shrink).parameters())
    assert found == pool
    assert found + 1000 * (width // shrink) + 1000 == total


def test_queries_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="10 queries"):
        EfficientProbe(768, 10)
