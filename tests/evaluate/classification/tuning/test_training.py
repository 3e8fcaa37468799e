# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.evaluate.classification.tuning import training
from rspipe.evaluate.classification.tuning.classifier import SceneClassifier
from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.evaluate.classification.tuning.training import Plan


def test_the_rate_is_reckoned_once_by_the_images_of_a_step():
    plan = Plan.of(6300, FineTuning())
    assert plan.lr == pytest.approx(4e-3)
    assert (plan.steps_per_epoch, plan.steps) == (6, 600)
    # How many go through the network at once says nothing of the rate.
    assert Plan.of(6300, FineTuning(images_per_pass=32)) == plan


def test_the_rate_rises_in_a_line_and_falls_by_half_a_cosine():
    plan = Plan.of(6300, FineTuning())
    rates = [plan.lr_at(step) for step in range(plan.steps)]
    np.testing.assert_allclose(rates[:31], np.linspace(0, 4e-3, 31))
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert plan.lr_at(plan.steps) == pytest.approx(1e-6)
    middle = 30 + (600 - 30) // 2
    assert rates[middle] == pytest.approx((4e-3 + 1e-6) / 2)


def test_a_small_train_part_makes_smaller_even_steps():
    plan = Plan.of(45, FineTuning())
    assert (plan.images_per_step, plan.steps_per_epoch) == (44, 1)
    assert plan.lr == pytest.approx(1e-3 * 44 / 256)


def test_every_epoch_has_its_own_order_and_a_later_start_sees_the_same():
    plan = Plan.of(10, FineTuning(images_per_step=4, epochs=3))
    train = np.arange(100, 110)
    every = list(plan.batches(train, seed=5, first=0))
    assert len(every) == 6
    for epoch in range(3):
        seen = [position for batch in every[2 * epoch : 2 * epoch + 2] for position, _ in batch]
        assert len(set(seen)) == 8
        assert set(seen) <= set(train.tolist())
    keys = [key for batch in every for _, key in batch]
    assert len(set(keys)) == len(keys)
    assert every[0] != every[2]
    for first in range(6):
        assert list(plan.batches(train, seed=5, first=first)) == every[first:]
    assert list(plan.batches(train, seed=6, first=0)) != every


def test_the_parts_of_a_step_add_up_to_the_whole(tiny_encoder):
    images, targets = torch.randn(6, 3, 32, 32), torch.softmax(torch.randn(6, 3), dim=1)
    gradients = []
    for at_once in (6, 4):
        said = FineTuning(img_px=None, images_per_pass=at_once, drop_path=0)
        model = SceneClassifier(tiny_encoder, 3, said, seed=0)
        training._step(model, torch.optim.SGD(model.parameters(), lr=0), images, targets, said)
        gradients.append([p.grad for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_every_parameter_learns_at_the_rate_of_its_depth(tiny_encoder):
    model = SceneClassifier(tiny_encoder, 3, FineTuning(img_px=None), seed=0)
    groups = model.groups(0.75, 0.05)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    assert all(p.requires_grad for p in model.parameters())
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    vit = model.encoder.vit
    assert scale[id(vit.pos_embed)] == 0.75**3
    assert scale[id(vit.blocks[1].attn.qkv.weight)] == 0.75
    assert scale[id(model.head.weight)] == scale[id(vit.norm.weight)] == 1
    assert decay[id(model.head.weight)] == 0.05
    assert decay[id(model.head.bias)] == decay[id(vit.pos_embed)] == 0


def test_the_head_reads_the_class_token_and_starts_almost_at_zero(tiny_encoder):
    model = SceneClassifier(tiny_encoder, 3, FineTuning(img_px=None), seed=0).eval()
    assert 0 < model.head.weight.abs().max() < 1e-4
    images = torch.randn(2, 3, 32, 32)
    wanted = tiny_encoder.vit.eval()(images)  # timm's own forward: the class token after the norm
    torch.testing.assert_close(model(images), model.head(wanted))


def test_without_mixing_labels_are_only_smoothed():
    mixup = training._mixup(FineTuning(mixup=0, cutmix=0, smoothing=0.3), n_classes=3)
    images = torch.randn(2, 3, 4, 4)
    same, targets = mixup(images.clone(), torch.tensor([0, 2]))
    torch.testing.assert_close(same, images)
    torch.testing.assert_close(targets, torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]))
