# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from rspipe.catalog import card_for
from rspipe.errors import UnfitEncoder
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.frozen.token_extraction import TokenCache, extract_tokens
from rspipe.evaluate.robustness.attack import FeatureAttack
from rspipe.evaluate.robustness.settings import Pgd
from tests.evaluate.native_sets import write_scenes
from tests.models.tiny_models import tiny

EPSILON = 4 / 255


@pytest.fixture
def pixels():
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def attack(encoder, epsilon=EPSILON, steps=4, seed=0, **said):
    settings = Pgd(epsilon=epsilon, steps=steps)
    return FeatureAttack(
        encoder, settings, **{"pooling": "mean", "norm": "post", "seed": seed, **said}
    )


def test_the_farthest_image_is_within_epsilon_and_is_an_image(tiny_encoder, pixels):
    pixels[:, :, :8], pixels[:, :, 8:16] = 0, 1  # at the ends of the range too
    moved, _ = attack(tiny_encoder).farthest(pixels)
    assert (moved - pixels).abs().max() <= EPSILON + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1


@pytest.mark.parametrize("pooling", ["mean", "cls", "both"])
def test_it_ends_no_nearer_than_it_began_and_gradients_help(tiny_encoder, pixels, pooling):
    one = attack(tiny_encoder, pooling=pooling)
    moved, distances = one.farthest(pixels)
    goal, there = one._vectors(pixels), one._vectors(moved)
    reached = 1 - torch.cosine_similarity(goal, there).item()
    assert len(distances) == 5
    assert reached == pytest.approx(max(distances), abs=1e-6)
    assert max(distances) >= distances[0] > 0
    # Noise of the same size alone moves features less.
    assert max(distances) > 2 * distances[0]


def test_the_file_is_eight_bit_within_epsilon_and_a_function_of_the_seed(tiny_encoder, pixels):
    image = (pixels[0].permute(1, 2, 0) * 255).round().byte().numpy()
    made = attack(tiny_encoder)(image)
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - image).max() == 4
    np.testing.assert_array_equal(attack(tiny_encoder)(image), made)
    assert (attack(tiny_encoder, seed=1)(image) != made).any()


def test_without_room_nothing_changes_bit_for_bit(tiny_encoder, pixels):
    image = (pixels[0].permute(1, 2, 0) * 255).round().byte().numpy()
    np.testing.assert_array_equal(attack(tiny_encoder, epsilon=0.0)(image), image)


def test_no_weight_is_left_with_a_gradient(tiny_encoder, pixels):
    attack(tiny_encoder, steps=1).farthest(pixels)
    assert all(weight.grad is None for weight in tiny_encoder.parameters())


# Tokens beside the class token; a norm behind pooling, with and without a class token.
@pytest.mark.parametrize("family", ["distilled", "eva", "convnext"])
def test_what_is_attacked_is_what_probes_read_from_disk(tmp_path, family):
    encoder = tiny(family)
    folder = tmp_path / "hues"
    write_scenes(folder, per_class=2)
    listed = list_benchmark(folder, card_for(folder), What())
    cache = TokenCache(tmp_path / "features", "float32", 4, torch.device("cpu"))
    made = extract_tokens(listed, {"a": Judged(encoder, "0a")}, frozenset(), cache)
    path = made.benchmark.records[1].source_path
    image = Image.open(folder / path).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    for pooling, norm in itertools.product(("mean", "cls", "both"), ("pre", "post")):
        if pooling != "mean" and not encoder.has_class_token:
            with pytest.raises(UnfitEncoder, match=f"pooling={pooling}: it has no class token"):
                attack(encoder, pooling=pooling, norm=norm)
            continue
        read = made.features["a"].images.vectors(np.array([1]), pooling, norm)
        with torch.no_grad():
            attacked = attack(encoder, pooling=pooling, norm=norm)._vectors(pixels)
        np.testing.assert_allclose(attacked, read, atol=1e-5)
