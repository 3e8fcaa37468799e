# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.objectives.hog import BINS, hog_cells, hog_glyphs, hog_scores, hog_target


def half_textured():
    images = torch.zeros(2, 3, 32, 32)
    images[:, :, :, 16:] = torch.rand(2, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    return images


def test_textured_patches_score_above_flat_ones_unlike_by_the_released_formula():
    """The released code standardises each patch over its own histogram, and averages over it."""
    images = half_textured()
    scores = hog_scores(images, 8).reshape(2, 4, 4)
    assert scores[:, :, 2:].min() > scores[:, :, :2].max() + 0.5
    histograms = hog_cells(images, 8).permute(0, 2, 3, 1, 4).flatten(1, 2).flatten(2)
    mean, std = (f(dim=2, keepdim=True) for f in (histograms.mean, histograms.std))
    released = ((histograms - mean) / (std + 1e-6)).mean(dim=2)
    assert released.abs().max() < 1e-6


def test_scores_are_the_mean_of_the_histogram():
    images = half_textured()
    mean = hog_cells(images, 8).mean(dim=(1, 4)).flatten(1)
    z = (mean - mean.mean(1, keepdim=True)) / mean.std(1, keepdim=True, correction=0)
    torch.testing.assert_close(hog_scores(images, 8), z, rtol=1e-4, atol=1e-4)


def test_image_without_structure_scores_zero():
    assert (hog_scores(torch.ones(1, 3, 32, 32), 8) == 0).all()


def test_stripes_vote_for_their_orientation():
    rows = torch.arange(32.0).reshape(1, 1, 32, 1).expand(1, 1, 32, 32)
    across = hog_cells(rows.transpose(2, 3), 8)[0, 0, 1, 1]
    down = hog_cells(rows, 8)[0, 0, 1, 1]
    assert across.argmax() == 0
    assert down.argmax() == BINS // 2
    assert across.max() == down.max() == 2


def test_target_does_not_change_with_brightness_and_contrast():
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 100
    torch.testing.assert_close(
        hog_target(images, 16), hog_target(2 * images + 7, 16), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("bands", [1, 3, 12])
@pytest.mark.parametrize(("patch_px", "cells"), [(16, 4), (8, 1), (4, 4), (3, 1)])
def test_target_has_nine_values_per_cell_and_band(bands, patch_px, cells):
    target = hog_target(torch.rand(2, bands, 48, 96), patch_px)
    assert target.shape == (2, (48 // patch_px) * (96 // patch_px), 9 * cells * bands)
    assert torch.isfinite(target).all()


def test_target_of_a_flat_patch_is_zero():
    assert (hog_target(torch.full((1, 3, 32, 32), 99.0), 16) == 0).all()


def test_target_describes_the_patch_of_its_place():
    """Texture within one patch, away from its border, leaves all other targets 0."""
    images = torch.zeros(1, 1, 32, 48)
    images[:, :, 18:30, 34:46] = torch.rand(12, 12, generator=torch.Generator().manual_seed(0))
    busy = hog_target(images, 16)[0].abs().sum(dim=1) > 0
    assert busy.tolist() == [False] * 5 + [True]


def test_strokes_run_along_edges():
    step = torch.zeros(1, 1, 16, 16)
    step[..., 8:] = 1  # an upright edge: the gradient runs across
    glyphs = hog_glyphs(hog_target(step * 255, 16), 16)
    assert glyphs.shape == (1, 1, 16, 16)
    assert glyphs.min() >= 0
    assert 0.9 < glyphs.max() <= 1
    cell = glyphs[0, 0, :8, :8]
    assert cell.sum(dim=0).max() > 2 * cell.sum(dim=1).max()
