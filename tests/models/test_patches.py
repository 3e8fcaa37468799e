# SPDX-License-Identifier: Apache-2.0
import torch

from rspipe.models.patches import patchify, unpatchify


def test_unpatchify_inverts_patchify():
    images = torch.rand(2, 3, 32, 48)
    torch.testing.assert_close(unpatchify(patchify(images, 8), (4, 6), 8), images)


def test_patch_lists_row_column_band():
    images = torch.arange(2 * 4 * 4.0).reshape(1, 2, 4, 4)
    assert patchify(images, 2)[0, 1].tolist() == [2, 18, 3, 19, 6, 22, 7, 23]
