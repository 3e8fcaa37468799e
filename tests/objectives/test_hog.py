import torch

from rspipe.objectives.hog import BINS, hog_cells, hog_scores


def half_textured():
    images = torch.zeros(2, 3, 32, 32)
    images[:, :, :, 16:] = torch.rand(2, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    return images


def test_textured_patches_score_above_flat_ones():
    scores = hog_scores(half_textured(), 8).reshape(2, 4, 4)
    assert scores[:, :, 2:].min() > scores[:, :, :2].max() + 0.5


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
