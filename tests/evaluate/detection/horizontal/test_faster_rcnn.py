# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.evaluate.detection.horizontal import FasterRCNN, FasterRCNNSettings
from rspipe.evaluate.detection.horizontal.faster_rcnn import levels_of
from rspipe.evaluate.detection.tuning.objects import Objects
from rspipe.models.encoder import seeded
from tests.evaluate.detection.horizontal.scenes import average_precision, encoder, scenes
from tests.evaluate.detection.horizontal.small import SMALL, small
from tests.evaluate.detection.learning import fit

NONE = Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def detector(**said):
    settings = small(**said)
    with seeded(0):
        return FasterRCNN(levels_of(encoder(), settings), 2, settings)


def total(losses):
    return torch.stack(list(losses.values())).sum()


@pytest.mark.parametrize("pyramid", ["four", "simple"])
def test_eight_images_are_learned_by_heart_objects_at_the_border_too(pyramid):
    images, truth = scenes(8, seed=0)
    model = detector(pyramid=pyramid)
    assert average_precision(model, images, truth)[0] < 0.5
    fit(model, images, truth, steps=150, lr=3e-3)
    assert average_precision(model, images, truth)[0] >= 0.99


@pytest.mark.parametrize("pyramid", ["four", "last", "simple"])
def test_every_parameter_learns(pyramid):
    images, truth = scenes(2, seed=2)
    # All anchors are drawn: so few that learn would leave the coarsest levels alone.
    model = detector(pyramid=pyramid, proposals={**SMALL["proposals"], "samples": 9999}).train()
    total(model.losses(images, truth)).backward()
    dead = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    vit = model.levels.encoder.vit if pyramid == "simple" else model.levels.pyramid.encoder.vit
    unused = {
        p for n, p in vit.named_parameters() if n in ("cls_token", "norm.weight", "norm.bias")
    }
    named = dict(model.named_parameters())
    assert {n for n in dead if named[n] not in unused} == set()


def test_detections_do_not_depend_on_the_batch():
    images, _ = scenes(3, seed=3)
    model = detector().eval()
    together = model(images)
    assert all(len(one.scores) for one in together)
    for one, image in zip(together, images, strict=True):
        alone = model(image[None])[0]
        torch.testing.assert_close(one.boxes, alone.boxes, rtol=0, atol=1e-3)
        torch.testing.assert_close(one.scores, alone.scores, rtol=0, atol=1e-5)
        assert torch.equal(one.labels, alone.labels)


def test_images_without_objects_train_as_background():
    images, truth = scenes(2, seed=4)
    model = detector().train()
    for objects in ([NONE, truth[1]], [NONE, NONE]):
        losses = model.losses(images, objects)
        assert all(bool(loss.isfinite()) for loss in losses.values())
        total(losses).backward()
    assert losses["proposal_boxes"] == losses["region_boxes"] == 0
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_losses_are_a_function_of_weights_inputs_and_seed():
    images, truth = scenes(2, seed=1)
    model = detector().train()
    runs = []
    for seed in (5, 5, 6):
        with seeded(seed):
            runs.append({k: v.item() for k, v in model.losses(images, truth).items()})
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {
        "proposal_objectness",
        "proposal_boxes",
        "region_classes",
        "region_boxes",
    }


def test_the_dials_are_the_protocol_s():
    settings = FasterRCNNSettings()
    assert settings.width == 256
    stage = settings.proposals
    assert (stage.anchor_scale, stage.anchor_ratios) == (8, (0.5, 1, 2))
    assert (stage.positive_iou, stage.negative_iou, stage.least_best_iou) == (0.7, 0.3, 0.3)
    assert (stage.samples, stage.positive_share, stage.nms_iou) == (256, 0.5, 0.7)
    assert (stage.before_nms, stage.before_nms_at_test, stage.kept) == (2000, 1000, 1000)
    stage = settings.regions
    assert (stage.bins, stage.hidden, stage.positive_iou) == (7, 1024, 0.5)
    assert (stage.samples, stage.positive_share) == (512, 0.25)
    assert (stage.score_threshold, stage.nms_iou, stage.kept) == (0.05, 0.5, 100)
