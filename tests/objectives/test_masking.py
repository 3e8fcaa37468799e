# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rspipe.objectives.masking import (
    Cells,
    Mix,
    count_share,
    disjoint_views,
    grow_from_seeds,
    keep_smallest,
    mix_at,
    others,
)

STAGES = (0.35, 0.375, 0.725, 0.75)


def grown(mix, patches=40, images=3, count=12, seeds=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(images, patches, 8, generator=generator)
    noise = torch.rand(images, patches, generator=generator)
    start = keep_smallest(torch.rand(images, patches, generator=generator), seeds)
    return tokens, start, grow_from_seeds(tokens, start, count, mix, noise)


@given(
    progress=st.floats(0, 1),
    patches=st.integers(8, 60),
    images=st.integers(1, 3),
    data=st.data(),
)
def test_growing_keeps_exactly_the_count_and_the_seeds(progress, patches, images, data):
    count = data.draw(st.integers(2, patches))
    seeds = data.draw(st.integers(1, count))
    mix = mix_at(progress, STAGES)
    _, start, ids = grown(mix, patches, images, count, seeds)
    assert ids.shape == (images, count)
    assert torch.equal(ids[:, :seeds], start)
    assert all(len(set(row)) == count for row in ids.tolist())


@given(total=st.integers(0, 50), progress=st.floats(0, 1))
def test_shares_of_a_step_add_up(total, progress):
    assert sum(mix_at(progress, STAGES).counts(total)) == total


def test_stages_go_from_nearest_over_farthest_to_random():
    assert mix_at(0.0, STAGES) == mix_at(0.35, STAGES) == Mix(1, 0, 0)
    assert mix_at(0.375, STAGES) == mix_at(0.725, STAGES) == Mix(0, 1, 0)
    assert mix_at(0.75, STAGES) == mix_at(1.0, STAGES) == Mix(0, 0, 1)
    half = mix_at(0.3625, STAGES)
    assert (half.nearest, half.farthest) == pytest.approx((0.5, 0.5))


def test_near_patches_are_more_alike_than_far_ones():
    alike = {}
    for name, mix in {"near": Mix(1, 0, 0), "far": Mix(0, 1, 0), "random": Mix(0, 0, 1)}.items():
        tokens, start, ids = grown(mix)
        unit = torch.nn.functional.normalize(tokens, dim=-1)
        pairs = unit @ unit.transpose(1, 2)
        alike[name] = torch.stack(
            [pairs[b][ids[b, 4:]][:, start[b]].amax(1).mean() for b in range(len(ids))]
        ).mean()
    assert alike["near"] > alike["random"] > alike["far"]


def test_random_share_is_drawn_image_by_image():
    tokens = torch.randn(1, 30, 8).expand(6, -1, -1)
    seeds = torch.zeros(6, 1, dtype=torch.long)
    noise = torch.rand(6, 30, generator=torch.Generator().manual_seed(0))
    ids = grow_from_seeds(tokens, seeds, 8, Mix(0, 0, 1), noise)
    assert len({tuple(row) for row in ids.tolist()}) == 6


@given(progress=st.floats(0, 1), seed=st.integers(0, 99))
def test_barred_patches_are_never_added(progress, seed):
    generator = torch.Generator().manual_seed(seed)
    tokens, noise = (torch.randn(3, 20, 8, generator=generator) for _ in range(2))
    barred = torch.zeros(3, 20, dtype=torch.bool).scatter(
        1, keep_smallest(noise[..., 0], 8), value=True
    )
    seeds = keep_smallest(noise[..., 1].masked_fill(barred, torch.inf), 3)
    ids = grow_from_seeds(tokens, seeds, 12, mix_at(progress, STAGES), noise[..., 2], barred)
    assert not barred.gather(1, ids).any()
    assert all(len(set(row)) == 12 for row in ids.tolist())


def test_others_is_the_complement():
    ids = torch.tensor([[3, 0], [1, 4]])
    assert others(ids, 5).tolist() == [[1, 2, 4], [0, 2, 3]]


@pytest.mark.parametrize(
    ("patches", "share", "want"), [(196, 0.15, 29), (100, 0.29, 29), (49, 0.25, 12)]
)
def test_shares_are_counted_in_decimal(patches, share, want):
    assert count_share(patches, share) == want
    assert count_share(patches, 1 - (1 - share)) == want


@given(
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    side=st.integers(1, 4),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
)
def test_cells_are_hidden_whole_but_for_one_at_the_limit(grid, side, share, seed):
    cells = Cells(grid, side)
    noise = torch.rand(3, cells.count, generator=torch.Generator().manual_seed(seed)).round(
        decimals=1
    )
    hidden = cells.count_hidden(share)
    patches = grid[0] * grid[1]
    assert share * patches - 1e-3 <= hidden <= patches
    cut_allowed = any(length % side for length in grid)
    for order in cells.by_noise(noise):
        ids = order.argsort(stable=True)[patches - hidden :]
        cell_of = (torch.arange(patches) // grid[1] // side) * cells.shape[1] + (
            torch.arange(patches) % grid[1]
        ) // side
        sizes = cell_of.bincount()
        found = cell_of[ids].bincount(minlength=cells.count)
        cut = (found > 0) & (found < sizes)
        assert cut.sum() <= int(cut_allowed)


def test_every_cell_is_hidden_as_often_as_another():
    cells = Cells((4, 6), 2)
    order = cells.by_noise(torch.rand(3000, 6, generator=torch.Generator().manual_seed(0)))
    often = (order.argsort(dim=1, stable=True)[:, 8:].flatten().bincount() / 3000).reshape(4, 6)
    torch.testing.assert_close(often, torch.full((4, 6), 4 / 6), rtol=0, atol=0.04)


@given(
    patches=st.integers(2, 60),
    views=st.integers(2, 5),
    data=st.data(),
)
def test_views_hide_what_others_saw_until_enough_is_predicted(patches, views, data):
    kept = data.draw(st.integers(1, patches - 1))
    always = data.draw(st.integers(0, kept))
    seen = disjoint_views(patches, kept, always, views)
    assert all(len(set(row)) == kept for row in seen.tolist())
    times = torch.zeros(patches, dtype=torch.long)
    times.scatter_add_(0, seen.flatten(), torch.ones_like(seen.flatten()))
    assert (times[:always] == views).all()
    hidden_by_some = (times < views).sum()
    assert hidden_by_some == (
        min(patches - always, views * (patches - kept)) if kept > always else patches - kept
    )
    if always + views * (kept - always) <= patches:
        assert (times[always:] <= 1).all()
