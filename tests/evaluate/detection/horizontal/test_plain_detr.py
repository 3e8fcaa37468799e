# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.evaluate.detection.horizontal.plain_detr import PlainDETR
from rspipe.evaluate.detection.horizontal.settings import PlainDETRSettings
from rspipe.evaluate.detection.tuning.objects import Objects
from rspipe.models.encoder import seeded
from tests.evaluate.detection.horizontal.scenes import (
    SIDE_PX,
    average_precision,
    encoder,
    scenes,
)
from tests.evaluate.detection.horizontal.small import small_detr
from tests.evaluate.detection.learning import fit

NONE = Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def detector(**said):
    with seeded(0):
        return PlainDETR(encoder(), 2, small_detr(**said))


def total(losses):
    return torch.stack(list(losses.values())).sum()


def gradients(model, losses):
    model.zero_grad()
    total(losses).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_eight_images_are_learned_by_heart_objects_at_the_border_too():
    images, truth = scenes(8, seed=0)
    model = detector()
    assert average_precision(model, images, truth)[0] < 0.5
    fit(model, images, truth, steps=220, lr=3e-3, most_norm=1.0)
    assert average_precision(model, images, truth)[0] >= 0.99


def test_every_parameter_learns():
    images, truth = scenes(2, seed=2)
    model = detector().train()
    with torch.no_grad():  # boxes that do not move teach nothing to what would move them
        for name, parameter in model.named_parameters():
            if name.startswith(("boxes", "first_boxes")) and name.endswith("4.weight"):
                parameter.normal_(std=0.02)
    total(model.losses(images, truth)).backward()
    unused = {"encoder.vit.cls_token", "encoder.vit.norm.weight", "encoder.vit.norm.bias"}
    dead = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert dead == unused


def test_detections_do_not_depend_on_the_batch_or_the_training_queries():
    images, _ = scenes(3, seed=3)
    model = detector().eval()
    together = model(images)
    bare = detector(many_queries=0)
    kept = {k: v for k, v in model.state_dict().items() if k != "content.weight"}
    bare.load_state_dict({**kept, "content.weight": model.content.weight[:12]})
    for one, image in zip(together, images, strict=True):
        assert one.boxes.shape == (24, 4)  # 12 queries, 2 classes
        for other in (model, bare.eval()):
            alone = other(image[None])[0]
            torch.testing.assert_close(one.scores, alone.scores, rtol=0, atol=1e-5)
            torch.testing.assert_close(one.boxes, alone.boxes, rtol=0, atol=1e-3)


def test_one_to_many_queries_of_no_weight_change_no_gradient():
    images, truth = scenes(2, seed=4)
    with_many = detector(many_weight=0.0).train()
    without = detector(many_queries=0).train()
    kept = {k: v for k, v in with_many.state_dict().items() if k != "content.weight"}
    without.load_state_dict({**kept, "content.weight": with_many.content.weight[:12].detach()})
    found = gradients(with_many, with_many.losses(images, truth))
    want = gradients(without, without.losses(images, truth))
    assert not found["content.weight"][12:].any()
    found["content.weight"] = found["content.weight"][:12]
    assert found.keys() == want.keys()
    for name, gradient in want.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_images_without_objects_train_as_background():
    images, truth = scenes(2, seed=4)
    model = detector().train()
    for objects in ([NONE, truth[1]], [NONE, NONE]):
        losses = model.losses(images, objects)
        assert set(losses) == {"proposals", "one_to_one", "one_to_many"}
        found = gradients(model, losses)
        assert all(bool(gradient.isfinite().all()) for gradient in found.values())


def test_queries_are_no_more_than_cells():
    images, truth = scenes(1, seed=5)
    model = detector(queries=100, many_queries=50)
    losses = model.train().losses(images, truth)
    assert set(losses) == {"proposals", "one_to_one"}  # the map has 64 cells
    assert model.eval()(images)[0].boxes.shape == (100, 4)


def test_anchors_are_squares_around_cells():
    anchors = detector().anchors
    assert anchors.shape == (64, 4)
    assert anchors[0].tolist() == [-4, -4, 12, 12]
    assert anchors[-1].tolist() == [SIDE_PX - 12, SIDE_PX - 12, SIDE_PX + 4, SIDE_PX + 4]


def test_the_dials_are_the_paper_s():
    settings = PlainDETRSettings()
    assert (settings.layers, settings.width, settings.heads, settings.hidden) == (6, 256, 8, 2048)
    assert (settings.bias_hidden, settings.bias_scale) == (512, "linear")
    assert (settings.queries, settings.many_queries, settings.many_repeats) == (300, 1500, 6)
    loss = settings.loss
    assert (loss.class_weight, loss.box_weight, loss.overlap_weight) == (2, 1, 2)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_box_starts_where_its_proposal_is(layers):
    images, _ = scenes(1, seed=6)
    model = detector(layers=layers).eval()
    first, stages = model._run(images, 12)
    best = first.logits[0, :, 0].topk(12).indices
    for stage in stages:
        torch.testing.assert_close(stage.boxes[0], first.boxes[0, best])
