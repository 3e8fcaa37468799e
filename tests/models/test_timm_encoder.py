# SPDX-License-Identifier: Apache-2.0
import pytest
import timm
import torch

from rspipe.errors import RecipeError, UnfitEncoder
from rspipe.models.encoder import seeded
from rspipe.models.timm_encoder import TimmEncoder
from tests.models.tiny_models import FAMILIES, config_of, tiny


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def timms_own(family):
    name, arguments = FAMILIES[family]
    with seeded(0):
        return timm.create_model(name, num_classes=0, **arguments).eval()


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_tokens_are_timm_s_own_features(family, images):
    encoder, model = tiny(family), timms_own(family)
    want = model.forward_features(images)
    if want.ndim == 4 and getattr(model, "output_fmt", "NCHW") == "NCHW":
        want = want.permute(0, 2, 3, 1)
    want = want.flatten(1, -2)
    prefix = getattr(model, "num_prefix_tokens", 0)
    found = encoder.tokens(images, final_norm=not encoder.norm_after_pooling)
    if encoder.has_class_token:
        torch.testing.assert_close(found[:, 0], want[:, 0])
    patches = found[:, int(encoder.has_class_token) :]
    torch.testing.assert_close(patches, want[:, prefix:])
    assert patches.shape[1:] == (
        encoder.config.grid[0] * encoder.config.grid[1],
        encoder.config.width,
    )


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "distilled"])
@torch.no_grad()
def test_pooled_vector_is_what_timm_s_head_reads(family, images):
    encoder, model = tiny(family), timms_own(family)
    want = model.forward_head(model.forward_features(images), pre_logits=True)
    kind = "post/cls" if getattr(model, "global_pool", "") == "token" else "post/mean"
    torch.testing.assert_close(encoder.vectors(encoder.tokens(images))[kind], want)


@pytest.mark.parametrize("family", ["registers", "registers_no_class_token", "dinov3"])
@torch.no_grad()
def test_registers_are_none_of_the_tokens_though_they_matter(family, images):
    encoder = tiny(family)
    assert encoder.body.num_prefix_tokens == 4 + encoder.has_class_token
    tokens = encoder.tokens(images)
    assert tokens.shape[1] == 16 + encoder.has_class_token
    registers = encoder.body.reg_token
    registers.copy_(torch.randn_like(registers))
    assert not torch.equal(encoder.tokens(images), tokens)


def test_patches_are_in_row_major_order_of_their_grid(images):
    for family in ("registers", "swin", "convnext"):
        encoder = tiny(family)
        with torch.no_grad():
            (last,) = encoder.maps(images, (len(encoder.stages) - 1,))
            patches = encoder.patch_tokens(images, final_norm=False)
        torch.testing.assert_close(patches, last.flatten(2).transpose(1, 2))


def test_a_size_that_it_was_not_made_for_has_its_own_grid(images):
    for family in ("registers", "dinov3", "swin", "convnext", "resnet"):
        encoder = tiny(family)
        wide = encoder.at_size((64, 128))
        assert wide.config.grid == (encoder.config.grid[0], encoder.config.grid[1] * 2)
        with torch.no_grad():
            tokens = wide.patch_tokens(torch.cat([images, images], dim=3), final_norm=True)
            same = encoder.at_size(64).tokens(images)
            assert torch.equal(same, encoder.tokens(images))
        assert tokens.shape[1] == encoder.config.grid[0] * encoder.config.grid[1] * 2


def test_fixed_positions_that_timm_does_not_resample_are_refused():
    with pytest.raises(UnfitEncoder, match=r"hiera_tiny_224 has positions.*its own size"):
        tiny("hiera").at_size(128)


def test_a_size_that_is_no_multiple_of_the_patch_is_refused():
    with pytest.raises(UnfitEncoder, match=r"deit_tiny.*its own size, \(64, 64\)"):
        tiny("distilled").at_size(70)


def test_untrained_is_another_network_of_the_same_shape(images):
    encoder = tiny("convnext")
    with torch.no_grad():
        assert torch.equal(encoder.untrained(0).tokens(images), encoder.tokens(images))
        assert not torch.equal(encoder.untrained(1).tokens(images), encoder.tokens(images))


def test_images_are_standardised_by_the_model_s_own_statistics():
    pixels = torch.full((1, 3, 64, 64), 255, dtype=torch.uint8)
    found = tiny("resnet").normalise(pixels)[0, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor([0.5 / 0.2, 0.6 / 0.3, 0.7 / 0.4]))


def test_a_model_whose_patches_cannot_be_told_is_refused():
    model = timms_own("hiera")
    model.num_prefix_tokens = 1
    with pytest.raises(
        RecipeError, match="4 tokens are not 1 of the whole image and 2 x 2 patches"
    ):
        TimmEncoder(model, config_of("hiera"))
