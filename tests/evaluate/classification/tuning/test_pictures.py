# SPDX-License-Identifier: Apache-2.0
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from rspipe.catalog import card_for
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.classification.tuning.pictures import (
    SceneSet,
    for_testing,
    for_training,
    global_draws,
)
from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.evaluate.config import What
from rspipe.models.encoder import EncoderConfig
from tests.evaluate.native_sets import write_scenes

CONFIG = EncoderConfig()


def an_image(height, width):
    return Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


@pytest.mark.parametrize("size", [(600, 600), (256, 256), (300, 500)])
def test_test_images_are_resized_to_256_and_cropped_to_224(size):
    image = an_image(*size)
    wanted = tv.center_crop(tv.resize(image, 256, tv.InterpolationMode.BICUBIC), 224)
    wanted = tv.normalize(tv.to_dtype(tv.to_image(wanted), scale=True), CONFIG.mean, CONFIG.std)
    torch.testing.assert_close(for_testing(CONFIG)(image), torch.as_tensor(wanted))


def test_a_picture_is_a_function_of_its_key_alone():
    transform, image = for_training(CONFIG, FineTuning()), an_image(64, 64)

    def drawn(key, disturbed):
        random.seed(disturbed)
        np.random.seed(disturbed)  # noqa: NPY002
        torch.manual_seed(disturbed)
        with global_draws(key):
            return transform(image)

    torch.testing.assert_close(drawn((1, 2), 0), drawn((1, 2), 99), rtol=0, atol=0)
    assert (drawn((1, 2), 0) != drawn((1, 3), 0)).any()


def test_draws_leave_the_global_generators_as_they_were():
    def state():
        return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    plain = state()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    with global_draws((7,)):
        state()
    assert state() == plain


def test_worker_processes_make_the_same_pictures(tmp_path):
    write_scenes(tmp_path / "hues", per_class=1)
    benchmark = list_benchmark(tmp_path / "hues", card_for(tmp_path / "hues"), What())
    scenes = SceneSet(benchmark, for_training(CONFIG, FineTuning()))
    asked = [(i, (0, i)) for i in range(4)]
    loader = torch.utils.data.DataLoader(
        scenes, batch_sampler=[asked[:2], asked[2:]], collate_fn=list, num_workers=1
    )
    made = [scene for batch in loader for scene in batch]
    for one, (position, key) in zip(made, asked, strict=True):
        assert one.position == position
        torch.testing.assert_close(one.pixels, scenes[position, key].pixels, rtol=0, atol=0)


def test_the_highest_magnitude_can_be_drawn_for_every_operation():
    said = FineTuning(rand_augment="rand-m10-n15-p1.0-inc1")
    transform = for_training(CONFIG, said)
    for key in range(8):
        with global_draws((key,)):
            assert torch.isfinite(transform(an_image(64, 64))).all()
