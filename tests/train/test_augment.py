# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from rspipe.train.augment import Augment, View, draw_views, whole_view
from tests.train.fakes import make_tile

ANY = Augment()
STILL = Augment(crop_scale=(1.0, 1.0), flips=False, quarter_turns=False)


UPRIGHT = Augment(flips=False, quarter_turns=False)


def heights(boxes):
    return boxes[:, 2] - boxes[:, 0]


def widths(boxes):
    return boxes[:, 3] - boxes[:, 1]


def areas(boxes):
    return heights(boxes) * widths(boxes)


def draw(shape, size_px, augment=ANY, seed=0, count=200):
    shapes = np.tile(shape, (count, 1))
    return draw_views(shapes, size_px, augment, seed, np.arange(count))


def cut(view, pixels):
    y0, x0, y1, x1 = view.box
    out = np.empty((*view.size_px, pixels.shape[2]), np.uint8)
    view.of_pixels(pixels[y0:y1, x0:x1], out)
    return out


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 10])
@pytest.mark.parametrize("size_px", [(16, 16), (16, 48)])
def test_view_has_the_size_and_bands_asked_for(bands, size_px):
    tile = np.random.default_rng(0).integers(0, 256, (40, 30, bands)).astype(np.uint8)
    for view in draw((40, 30), size_px, count=8):
        made = cut(view, tile)
        assert made.shape == (*size_px, bands)
        assert made.dtype == np.uint8


def test_views_are_functions_of_seed_and_place_alone():
    shapes = np.array([(40, 30), (64, 64), (20, 90)])
    together = draw_views(shapes, (16, 16), Augment(), 5, np.array([7, 8, 9]))
    alone = [
        draw_views(shapes[i : i + 1], (16, 16), Augment(), 5, np.array([7 + i]))[0]
        for i in range(3)
    ]
    assert together == alone
    assert together != draw_views(shapes, (16, 16), Augment(), 6, np.array([7, 8, 9]))
    assert together != draw_views(shapes, (16, 16), Augment(), 5, np.array([1007, 1008, 1009]))


@pytest.mark.parametrize("size_px", [(16, 16), (16, 48)])
@pytest.mark.parametrize("shape", [(512, 512), (300, 700), (31, 17), (1, 9)])
def test_crops_lie_in_the_tile_and_keep_to_the_scales_and_aspects(shape, size_px):
    views = draw(shape, size_px, Augment(crop_scale=(0.2, 0.9)))
    height, width = shape
    for view in views:
        y0, x0, y1, x1 = view.box
        assert 0 <= y0 < y1 <= height
        assert 0 <= x0 < x1 <= width
        if min(shape) >= 300 and size_px == (16, 16):
            share = (y1 - y0) * (x1 - x0) / (height * width)
            assert 0.19 < share < 0.91
            assert 0.74 < (x1 - x0) / (y1 - y0) < 1.35


@pytest.mark.parametrize("shape", [(512, 512), (400, 500)])
def test_crops_are_distributed_as_torchvisions(shape):
    ours = np.array([view.box for view in draw(shape, (16, 16), UPRIGHT, count=4000)])
    torch.manual_seed(0)
    picture = torch.empty(3, *shape)
    scale, aspect = list(UPRIGHT.crop_scale), [3 / 4, 4 / 3]
    drawn = [RandomResizedCrop.get_params(picture, scale, aspect) for _ in range(4000)]
    y0, x0, h, w = np.array(drawn).T
    theirs = np.stack([y0, x0, y0 + h, x0 + w], axis=1)
    for of in (lambda b: b[:, 0], lambda b: b[:, 1], heights, widths, areas):
        quantiles = [
            np.quantile(of(boxes), np.linspace(0.05, 0.95, 19)) for boxes in (ours, theirs)
        ]
        assert np.abs(quantiles[0] - quantiles[1]).max() < 0.04 * of(theirs).max()


def test_where_no_draw_fits_the_crop_is_the_largest_in_the_middle():
    [view] = draw((20, 100), (16, 16), Augment(crop_scale=(1.0, 1.0)), count=1)
    assert view.box == whole_view((20, 100), (16, 16)).box == (0, 40, 20, 60)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_orientations_are_numpys_and_regions_follow_pixels(mirrored, turns):
    tile = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    expected = np.rot90(tile[:, ::-1] if mirrored else tile, turns)
    view = View((0, 0, 8, 12), expected.shape[:2], mirrored, turns)
    assert np.array_equal(cut(view, tile), expected)
    assert np.array_equal(view.of_regions(tile[:, :, 0].astype(np.int32)), expected[:, :, 0])


def test_all_eight_orientations_occur_equally_often():
    views = draw((16, 16), (16, 16), count=4000)
    _, counts = np.unique([(v.is_mirrored, v.turns) for v in views], axis=0, return_counts=True)
    assert len(counts) == 8
    assert counts.min() > 400


def test_what_is_switched_off_does_not_occur():
    views = draw((16, 16), (16, 16), STILL)
    assert {(v.box, v.is_mirrored, v.turns) for v in views} == {((0, 0, 16, 16), False, 0)}


def test_regions_are_cut_where_the_pixels_are():
    """A tile whose grey says its region: after crop and turn both still say the same."""
    labels = np.kron(np.arange(16).reshape(4, 4), np.ones((40, 40), int)).astype(np.int32)
    tile = np.repeat(labels[:, :, None] * 16, 3, axis=2).astype(np.uint8)
    for view in draw((160, 160), (48, 48), count=40):
        pixels, regions = cut(view, tile)[:, :, 0].astype(int), view.of_regions(labels)
        assert regions.shape == (48, 48)
        assert np.mean(np.abs(pixels - regions * 16) <= 8) > 0.8


def test_flat_tile_stays_flat():
    flat = np.full((20, 50, 3), 77, dtype=np.uint8)
    assert all((cut(view, flat) == 77).all() for view in draw((20, 50), (16, 16), count=8))


@pytest.mark.parametrize("bands", [1, 3, 4, 10])
def test_resize_agrees_with_pillow(bands):
    tile = np.tile(make_tile(2), (2, 2, 4))[..., :bands]
    view = View((0, 0, *tile.shape[:2]), (24, 20))
    for band in range(bands):
        expected = Image.fromarray(tile[..., band]).resize((20, 24), Image.Resampling.BICUBIC)
        difference = cut(view, tile)[..., band].astype(int) - np.asarray(expected)
        assert np.abs(difference).max() <= 6
        assert np.abs(difference).mean() < 0.5
