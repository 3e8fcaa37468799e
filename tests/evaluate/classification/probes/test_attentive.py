# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F

from rspipe.evaluate.classification.probes.attentive import AttentiveProbe


@pytest.fixture
def probe():
    torch.manual_seed(0)
    probe = AttentiveProbe(24, heads=3)
    torch.nn.init.normal_(probe.query)
    return probe


def tokens_of():
    return 2 + 3 * torch.randn(4, 7, 24, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_probe_is_multi_head_cross_attention_of_its_query(probe):
    tokens = tokens_of()
    scaled = (tokens - tokens.mean((0, 1))) / (tokens.var((0, 1), unbiased=False) + 1e-6).sqrt()
    query, keys, values = (
        x.unflatten(-1, (3, 8)).transpose(1, 2)
        for x in (
            probe.query.expand(4, 1, 24),
            scaled @ probe.key_weight.T,
            scaled @ probe.value_weight.T,
        )
    )
    want = F.scaled_dot_product_attention(query, keys, values).transpose(1, 2).flatten(1)
    torch.testing.assert_close(probe(tokens), want, rtol=0, atol=1e-5)


@torch.no_grad()
def test_order_of_tokens_changes_nothing(probe):
    tokens = tokens_of()
    probe(tokens)
    probe.eval()
    torch.testing.assert_close(probe(tokens.flip(1)), probe(tokens), rtol=0, atol=1e-5)


@torch.no_grad()
def test_attention_of_each_head_adds_up_to_one(probe):
    attention = probe.attention(tokens_of())
    assert attention.shape == (4, 3, 7)
    torch.testing.assert_close(attention.sum(-1), torch.ones(4, 3))


def test_parameters_are_as_many_as_in_aim():
    """AIM-12 with 1,000 classes on ViT-B: 1.95 M."""
    with torch.device("meta"):
        found = sum(p.numel() for p in AttentiveProbe(768, 12).parameters())
    assert round((found + 1000 * 768 + 1000) / 1e6, 2) == 1.95
