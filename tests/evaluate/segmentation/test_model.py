# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.errors import RecipeError
from rspipe.evaluate.config import LinearSegmentation, UPerNetTuning
from rspipe.evaluate.segmentation.model import linear_segmenter, upernet_segmenter
from rspipe.models.encoder import Encoder

SMALL = UPerNetTuning(crop_px=64, stride_px=48, channels=8)


@pytest.mark.parametrize(
    ("build", "settings"),
    [(linear_segmenter, LinearSegmentation(crop_px=64)), (upernet_segmenter, SMALL)],
)
def test_logits_have_the_size_of_the_crop(tiny_encoder, build, settings):
    model = build(tiny_encoder, 5, settings).eval()
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 5, 64, 64)


def test_crops_are_of_the_encoder_s_size_where_the_recipe_names_none(tiny_encoder):
    assert linear_segmenter(tiny_encoder, 2, LinearSegmentation()).encoder.config.size_px == (
        32,
        32,
    )
    oblong = Encoder.random(tiny_encoder.config.model_copy(update={"img_px": (32, 64)}), seed=0)
    with pytest.raises(RecipeError, match="crop_px must be given"):
        linear_segmenter(oblong, 2, LinearSegmentation())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"crop_px": 60}, "60 x 60 px are no whole number of .* patches of 8 px.*such as 64 x 64"),
        ({"crop_px": 64, "stride_px": 65}, "stride_px=65 is more than the windows of 64 px"),
        ({"stride_px": 40}, "stride_px=40 is more than the windows of 32 px"),
    ],
)
def test_sizes_that_do_not_fit_are_errors_of_the_recipe(tiny_encoder, said, reason):
    with pytest.raises(RecipeError, match=reason):
        linear_segmenter(tiny_encoder, 2, LinearSegmentation(**said))


def test_half_precision_moves_logits_a_little_and_leaves_them_float32(tiny_encoder):
    images = torch.randn(1, 3, 64, 64)
    found = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        settings = SMALL.model_copy(update={"precision": precision})
        found.append(upernet_segmenter(tiny_encoder, 5, settings).eval()(images))
    assert found[1].dtype == torch.float32
    assert 0 < float((found[0] - found[1]).abs().max()) < 0.05 * float(found[0].abs().max()) + 0.01


def test_taps_of_the_last_block_make_all_levels_of_it(tiny_encoder):
    model = upernet_segmenter(tiny_encoder, 2, SMALL.model_copy(update={"taps": "last"}))
    assert model.levels.taps == (1, 1, 1, 1)
    assert upernet_segmenter(tiny_encoder, 2, SMALL).levels.taps == (0, 0, 0, 1)


def test_frozen_upernet_drops_no_path_and_trains_no_block(tiny_encoder):
    model = upernet_segmenter(tiny_encoder, 2, SMALL.model_copy(update={"frozen": True})).train()
    assert not model.encoder.training
    assert model.head.training
    learning = {id(p) for group in model.groups(0.05) for p in group["params"]}
    assert learning.isdisjoint(id(p) for p in model.encoder.parameters())
    assert {id(p) for p in model.levels.adapter.parameters()} <= learning
