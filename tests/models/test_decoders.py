# SPDX-License-Identifier: Apache-2.0
import torch

from rspipe.models.decoders import CrossAttentionDecoder, SelfAttentionDecoder


def test_cross_attention_prediction_does_not_depend_on_what_else_is_predicted():
    decoder = CrossAttentionDecoder(12, 8, depth=2, heads=2, grid=(3, 4), out_values=5)
    memory = torch.randn(2, 4, 12)
    some, more = torch.tensor([[1, 7], [3, 0]]), torch.tensor([[7, 2, 1], [0, 5, 3]])
    few, many = decoder(memory, some), decoder(memory, more)
    torch.testing.assert_close(few[:, 0], many[:, 2])
    torch.testing.assert_close(few[:, 1], many[:, 0])


def test_self_attention_decoder_puts_visible_patches_in_their_places():
    decoder = SelfAttentionDecoder(12, 8, depth=1, heads=2, grid=(3, 4), out_values=5)
    latent, ids = torch.randn(2, 4, 12), torch.tensor([[4, 1, 9], [0, 2, 11]])
    turn = torch.tensor([2, 0, 1])
    turned = torch.cat([latent[:, :1], latent[:, 1:][:, turn]], dim=1)
    torch.testing.assert_close(decoder(latent, ids), decoder(turned, ids[:, turn]))
