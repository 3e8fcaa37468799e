# SPDX-License-Identifier: Apache-2.0
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from rspipe.evaluate.classification.probes import gradient
from rspipe.evaluate.classification.probes.attentive import AttentiveProbing
from rspipe.evaluate.classification.probes.efficient import EfficientProbing
from rspipe.evaluate.classification.probes.gradient import divisor_of, rate_share, stream
from rspipe.evaluate.classification.probes.linear import LinearProbe
from rspipe.evaluate.config import AttentiveProbing as AttentiveSettings
from rspipe.evaluate.config import EfficientProbing as EfficientSettings
from rspipe.evaluate.config import LinearProbing as LinearSettings
from rspipe.evaluate.config import What

CPU = torch.device("cpu")
QUICK = {"epochs": 5, "min_steps": 100, "images_per_step": 128, "lr_grid": (1.0, 16.0)}
WHAT = What(
    linear=LinearSettings(**QUICK),
    efficient=EfficientSettings(queries=4, **QUICK),
    attentive=AttentiveSettings(heads=2, **QUICK),
)
every_head = pytest.mark.parametrize("probe", [LinearProbe, EfficientProbing, AttentiveProbing])
every_pool = pytest.mark.parametrize("probe", [EfficientProbing, AttentiveProbing])


@every_head
def test_head_learns_what_the_features_hold(parts, probe):
    train, validation, test = parts
    found = probe(WHAT, CPU).fit(train, validation, [0])[0]
    assert (found.predict(test.images) == test.labels).mean() > 0.6


@every_head
def test_head_is_a_function_of_its_seed(parts, probe):
    train, validation, test = parts
    first, other = probe(WHAT, CPU).fit(train, validation, [3, 4])
    again = probe(WHAT, CPU).fit(train, validation, [3])[0]
    assert torch.equal(first.logits(test.images), again.logits(test.images))
    assert not torch.equal(first.logits(test.images), other.logits(test.images))


@every_head
def test_predictions_do_not_depend_on_how_many_are_made_at_a_time(parts, probe, monkeypatch):
    train, validation, test = parts
    found = probe(WHAT, CPU).fit(train, validation, [0])[0]
    whole = found.logits(test.images)
    monkeypatch.setattr(gradient, "_PREDICT", 7)
    torch.testing.assert_close(found.logits(test.images), whole, rtol=0, atol=1e-5)


@every_pool
def test_order_of_patch_tokens_changes_no_prediction(parts, blobs, probe):
    train, validation, test = parts
    found = probe(WHAT, CPU).fit(train, validation, [0])[0]
    turned = blobs.features.stored[:, [0, 3, 1, 4, 2]]
    other = blobs(test.images.ids, of=replace(blobs.features, stored=turned))
    torch.testing.assert_close(found.logits(other.images), found.logits(test.images))


@every_pool
def test_pool_looks_at_the_tokens_that_tell_the_class(parts, probe):
    train, validation, test = parts
    found = probe(WHAT, CPU).fit(train, validation, [0])[0]
    attention = found.attention(test.images)
    assert attention.shape[::2] == (100, 4)
    assert attention[:, :, 1:3].mean() > attention[:, :, [0, 3]].mean()


def test_class_token_is_pooled_only_where_the_recipe_says_so(parts):
    train, _, _ = parts
    tokens = train.images.features.stored[:2]
    for class_token, want in ((False, tokens[:, 1:]), (True, tokens)):
        settings = EfficientSettings(norm="pre", class_token=class_token)
        read = EfficientProbing(What(efficient=settings), CPU).reader(train.images)
        assert np.array_equal(read(np.arange(2)).numpy(), want)


def test_rate_is_the_one_that_is_best_on_validation_images(parts):
    train, validation, _ = parts
    first, second = LinearProbe(WHAT, CPU).fit(train, validation, [0, 1])
    accuracy = first.notes["validation_accuracy"]
    assert accuracy[f"{first.notes['lr']:g}"] == max(accuracy.values())
    assert second.notes["lr"] == first.notes["lr"]


def test_rate_rises_linearly_and_falls_as_half_a_cosine():
    assert rate_share(0.0, 0.1) == 0.0
    assert rate_share(0.05, 0.1) == 0.5
    assert rate_share(0.1, 0.1) == 1.0
    assert rate_share(0.55, 0.1) == pytest.approx(0.5)
    assert rate_share(1.0, 0.1) == pytest.approx(0.0)


def test_stream_passes_over_all_images_before_it_repeats_one():
    seen = np.concatenate(list(itertools.islice(stream(10, 4, seed=0), 5)))
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:])


def test_fewer_queries_are_taken_where_the_wanted_number_does_not_divide_the_width():
    assert [divisor_of(48, 32), divisor_of(768, 32), divisor_of(7, 4)] == [24, 32, 1]
