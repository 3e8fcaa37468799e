# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.evaluate.detection.average_precision import BoxAP, FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.oriented import OrientedRCNN
from rspipe.evaluate.tuning.pyramid import Pyramid
from rspipe.models.encoder import seeded
from tests.evaluate.detection.learning import fit
from tests.evaluate.detection.oriented.scenes import SIDE_PX, SmallPyramid, scenes
from tests.evaluate.detection.oriented.small import SMALL


def detector(**said):
    with seeded(0):
        return OrientedRCNN(SmallPyramid(**said), 2, SMALL)


def average_precision(model, images, truth):
    found = model.eval()(images)
    model.train()
    return BoxAP(
        [
            TrueBoxes(
                t.boxes.double().numpy(), t.labels.numpy(), np.zeros(len(t.labels), dtype=bool)
            )
            for t in truth
        ],
        [
            FoundBoxes(f.boxes.double().numpy(), f.labels.numpy(), f.scores.double().numpy())
            for f in found
        ],
        2,
        "oriented",
        ["AP50_voc07", "AP50_area", "AP75_voc07"],
    ).score(np.arange(len(truth)))


@pytest.fixture
def one_thread():
    """So small maps are slower on several threads, and on a busy machine much slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_eight_images_are_learned_by_heart(one_thread):
    images, truth = scenes(8, seed=0)
    model = detector()
    assert average_precision(model, images, truth)[0] < 0.5
    fit(model, images, truth, steps=240, lr=2e-3)
    assert average_precision(model, images, truth).min() >= 0.99


def test_a_vision_transformer_plugs_in_and_learns_with_the_rest(tiny_encoder):
    encoder = tiny_encoder.at_size(SIDE_PX).requires_grad_()
    pyramid = Pyramid(encoder)
    with seeded(0):
        model = OrientedRCNN(pyramid, 2, SMALL)
    images, truth = scenes(2, seed=5)
    assert {name: m.shape[1:] for name, m in model.levels(images).items()} == {
        "0": (32, 32, 32),
        "1": (32, 16, 16),
        "2": (32, 8, 8),
        "3": (32, 4, 4),
        "pool": (32, 2, 2),
    }
    assert list(model.proposals.strides_px.values()) == [2, 4, 8, 16, 32]
    with seeded(0):
        sum(model.losses(images, truth).values()).backward()
    assert encoder.vit.patch_embed.proj.weight.grad.any()
    assert len(model.eval()(images)) == 2


def test_losses_are_a_function_of_weights_inputs_and_seed():
    images, truth = scenes(2, seed=1)
    model = detector()
    runs = []
    for _ in range(2):
        with seeded(5):
            runs.append({k: v.item() for k, v in model.losses(images, truth).items()})
    assert runs[0] == runs[1]
    assert set(runs[0]) == {
        "proposal_objectness",
        "proposal_boxes",
        "region_classes",
        "region_boxes",
    }


def test_every_parameter_learns():
    images, truth = scenes(2, seed=2)
    model = detector()
    with seeded(0):
        sum(model.losses(images, truth).values()).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # Boxes of 64 px images are never read from the coarsest levels by the second stage, but the
    # first one reads them all.
    assert dead == []


def test_detections_do_not_depend_on_the_batch():
    images, _ = scenes(3, seed=3)
    model = detector().eval()
    together = model(images)
    for one, alone in zip(together, (model(images[i : i + 1])[0] for i in range(3)), strict=True):
        torch.testing.assert_close(one.boxes, alone.boxes, rtol=0, atol=1e-3)
        torch.testing.assert_close(one.scores, alone.scores, rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_losses_on_a_gpu_are_those_on_the_cpu():
    images, truth = scenes(2, seed=4)
    model = detector().eval()
    found = model(images)
    there = [type(t)(**{name: value.cuda() for name, value in vars(t).items()}) for t in truth]
    on_gpu = model.cuda()
    losses = on_gpu.losses(images.cuda(), there)
    assert all(bool(loss.isfinite()) for loss in losses.values())
    for here, away in zip(found, on_gpu(images.cuda()), strict=True):
        torch.testing.assert_close(here.boxes, away.boxes.cpu(), rtol=0, atol=1e-2)
