# SPDX-License-Identifier: Apache-2.0
import torch
import torch.nn.functional as F

from rspipe.evaluate.segmentation.linear import LinearHead, TokenMap


def test_token_map_is_the_patch_tokens_behind_the_final_norm(tiny_encoder):
    images = torch.randn(2, 3, 32, 32)
    grid = TokenMap(tiny_encoder)(images)["0"]
    tokens = tiny_encoder.tokens(images, final_norm=True)
    torch.testing.assert_close(grid[:, :, 1, 2], tokens[:, 1 + 1 * 4 + 2])


def test_layer_before_resizing_equals_layer_after():
    torch.manual_seed(0)
    head = LinearHead(6, 3).eval()

    def up(x):
        return F.interpolate(x, (16, 20), mode="bilinear", align_corners=False)

    grid = torch.randn(2, 6, 4, 5)
    torch.testing.assert_close(up(head({"0": grid})), head({"0": up(grid)}))


def test_input_is_standardised_per_channel():
    head, grid = LinearHead(2, 3), torch.randn(64, 2, 4, 4) * 100 + 50
    assert head.train()({"0": grid}).abs().max() < 0.2
    assert sum(p.numel() for p in head.parameters()) == 2 * 3 + 3
