# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
import torch

from rspipe.evaluate.classification.probes import PROBES
from rspipe.evaluate.classification.probes.base import best_of, middle_of
from rspipe.evaluate.classification.probes.majority import MajorityProbe
from rspipe.evaluate.config import AttentiveProbing, EfficientProbing, LinearProbing, What

QUICK = {"epochs": 1, "min_steps": 10, "lr_grid": (4.0, 64.0)}
WHAT = What(
    linear=LinearProbing(**QUICK),
    efficient=EfficientProbing(queries=4, **QUICK),
    attentive=AttentiveProbing(heads=2, **QUICK),
)


@pytest.mark.parametrize("name", PROBES)
def test_nothing_of_the_test_part_is_read_while_fitting(blobs, parts, name):
    """A probe that is fitted where all test features are missing is the same probe."""
    pooled, stored = blobs.features.pooled.copy(), blobs.features.stored.copy()
    pooled[300:], stored[300:] = np.nan, np.nan
    blind = replace(blobs.features, pooled=pooled, stored=stored)
    probe = PROBES[name](WHAT, torch.device("cpu"))
    train, validation, test = parts
    seeing = probe.fit(train, validation, [0])[0]
    unseeing = probe.fit(*(blobs(part.images.ids, of=blind) for part in (train, validation)), [0])[
        0
    ]
    assert unseeing.notes == seeing.notes
    assert (unseeing.predict(test.images) == seeing.predict(test.images)).all()


@pytest.mark.parametrize("name", PROBES)
def test_prediction_of_an_image_does_not_depend_on_the_others(parts, name):
    train, validation, test = parts
    found = PROBES[name](WHAT, torch.device("cpu")).fit(train, validation, [0])[0]
    alone = [found.predict(replace(test.images, ids=test.images.ids[[i]]))[0] for i in range(5)]
    assert list(found.predict(test.images)[:5]) == alone


def test_majority_is_the_commonest_class_of_both_parts(blobs):
    labels = blobs(range(400)).labels
    rare = np.flatnonzero(labels == 2)
    train, validation = blobs(np.flatnonzero(labels == 0)[:3]), blobs(rare[:4])
    found = MajorityProbe(WHAT, torch.device("cpu")).fit(train, validation, [0])[0]
    assert (found.predict(blobs(range(5)).images) == 2).all()


def test_best_setting_is_the_smallest_at_a_tie():
    assert best_of({1.0: 0.5, 2.0: 0.9, 4.0: 0.9}) == 2.0
    assert middle_of((9, 1, 5)) == 5


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_that_says_how_sure_it_is_names_the_same_classes(parts, name):
    train, validation, test = parts
    found = PROBES[name](WHAT, torch.device("cpu")).fit(train, validation, [0])[0]
    labels, sure = found.predict_surely(test.images)
    assert (labels == found.predict(test.images)).all()
    assert (sure is None) == (PROBES[name].confidence is None) == (name == "majority")
    if sure is not None:
        assert ((sure >= 1 / 3 - 1e-6) & (sure <= 1 + 1e-6)).all()
        right = labels == test.labels
        assert sure[right].mean() > sure[~right].mean()
