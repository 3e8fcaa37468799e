# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rspipe.curate.dedup import overlap
from rspipe.curate.dedup.overlap import overlapping_boxes, shares


def found(group, boxes, share, over="union"):
    blocks = [
        {(min(i, j), max(i, j)): s for i, j, s in zip(*block, strict=True)}
        for block in overlapping_boxes(group, boxes, share, over)
    ]
    together = {}
    for block in blocks:
        assert not together.keys() & block.keys()
        together |= block
    return together


def brute_force(group, boxes, share, over="union"):
    pairs = [
        (i, j) for i in range(len(group)) for j in range(i + 1, len(group)) if group[i] == group[j]
    ]
    values = {p: float(shares(boxes[[p[0]]], boxes[[p[1]]], over)[0]) for p in pairs}
    return {pair: value for pair, value in values.items() if value >= share}


def boxes_of(rng, count, *, whole):
    corner = rng.uniform(-5, 5, (count, 2))
    size = rng.choice([0.3, 1, 2, 4], (count, 2)) * rng.uniform(0.8, 1.2, (count, 2))
    boxes = np.concatenate([corner, corner + size], axis=1)
    return np.floor(boxes) + np.array([0, 0, 1, 1]) if whole else boxes


@settings(max_examples=100)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 60),
    share=st.sampled_from([0.05, 0.25, 0.5, 0.8, 1.0]),
    over=st.sampled_from(["union", "smaller"]),
    whole=st.booleans(),
)
def test_no_overlap_is_lost_and_none_is_added(seed, count, share, over, whole):
    rng = np.random.default_rng(seed)
    group, boxes = rng.integers(0, 3, count), boxes_of(rng, count, whole=whole)
    assert found(group, boxes, share, over) == brute_force(group, boxes, share, over)


@pytest.mark.parametrize("block", [1, 7])
def test_overlaps_do_not_depend_on_the_block_size(monkeypatch, block):
    rng = np.random.default_rng(0)
    group, boxes = rng.integers(0, 3, 60), boxes_of(rng, 60, whole=True)
    want = found(group, boxes, 0.3)
    assert len(want) > 10
    monkeypatch.setattr(overlap, "_BLOCK_BOXES", block)
    assert found(group, boxes, 0.3) == want


def test_windows_of_a_grid_that_overlap_by_half_have_a_third_in_common():
    y, x = np.mgrid[0:320:32, 0:320:32].reshape(2, -1).astype(float)
    boxes = np.stack([y, x, y + 64, x + 64], axis=1)
    group = np.zeros(100, np.int64)
    assert set(found(group, boxes, 0.2).values()) == {1 / 3}
    assert len(found(group, boxes, 0.2)) == 2 * 10 * 9
    assert found(group, boxes, 0.5) == {}
