# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.objectives.superpixels import count_segments, superpixels


def cut(images, compactness=0.5, segments=16, cell_px=4):
    return superpixels(images, cell_px, segments, compactness, rounds=5)


def test_pieces_of_a_plain_image_are_the_grid_of_seeds():
    labels = cut(torch.zeros(1, 3, 64, 64))[0]
    want = torch.arange(16).reshape(4, 4).repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert torch.equal(labels, want)


def test_pieces_keep_to_edges():
    """A bright square whose sides lie between the seeds: no piece holds both colours."""
    images = torch.zeros(1, 3, 64, 64)
    images[:, :, 12:44, 20:52] = 3.0
    labels = cut(images)[0]
    bright = torch.zeros(16, 16, dtype=torch.bool)
    bright[3:11, 5:13] = True
    assert not set(labels[bright].tolist()) & set(labels[~bright].tolist())


def test_more_compact_pieces_are_rounder(tiles):
    images = (tiles.float() / 255 - 0.4) / 0.2
    spread = []
    for compactness in (0.1, 10.0):
        labels = cut(images, compactness, segments=6, cell_px=2).flatten(1)
        place = torch.cartesian_prod(torch.arange(16.0), torch.arange(24.0))
        inside = torch.nn.functional.one_hot(labels, 6).float().transpose(1, 2)
        mean = inside @ place / inside.sum(2, keepdim=True).clamp_min(1)
        away = place - mean.gather(1, labels[..., None].expand(-1, -1, 2))
        spread.append(away.square().sum(2).mean())
    assert spread[0] > 1.5 * spread[1]


def test_an_image_is_cut_alike_in_any_batch(tiles):
    images = tiles.float() / 60 - 2
    whole = cut(images, cell_px=2)
    alone = torch.cat([cut(image[None], cell_px=2) for image in images])
    assert torch.equal(whole, alone)


@pytest.mark.parametrize("bands", [1, 4, 12])
@pytest.mark.parametrize("size_px", [(32, 48), (64, 16), (8, 8)])
def test_labels_are_within_the_count(bands, size_px):
    images = torch.randn(2, bands, *size_px, generator=torch.Generator().manual_seed(0))
    labels = cut(images)
    assert labels.shape == (2, size_px[0] // 4, size_px[1] // 4)
    assert labels.min() >= 0
    assert labels.max() < count_segments(*labels.shape[1:], 16)
