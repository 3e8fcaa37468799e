# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import torch

from rspipe.errors import RspipeError
from rspipe.evaluate.detection.oriented import OrientedRCNN
from rspipe.evaluate.detection.oriented.settings import OrientedTuning
from rspipe.evaluate.detection.tuning import training
from rspipe.evaluate.detection.tuning.pictures import Picture
from rspipe.evaluate.detection.tuning.training import copy_to_tune, lr_factor, train_detector
from rspipe.evaluate.tuning.pyramid import Pyramid
from rspipe.models.encoder import seeded
from tests.evaluate.detection.oriented.scenes import scenes
from tests.evaluate.detection.oriented.small import SMALL

SETTINGS = OrientedTuning(
    img_px=None, epochs=2, images_per_step=2, warmup_steps=2, detector=SMALL, lr=1e-3
)


def pictures(count):
    images, truth = scenes(count, seed=0)
    pixels = ((images * 40) + 128).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()[:, :32, :32]
    return [Picture(p, t) for p, t in zip(pixels, truth, strict=True)]


NOWHERE = Path("no checkpoint")


def trained(encoder, draw, settings=SETTINGS, seed=0, n_images=3, checkpoint=NOWHERE):
    copy = copy_to_tune(encoder, settings)
    with seeded(seed):
        model = OrientedRCNN(Pyramid(copy), 2, settings.detector)
    losses = train_detector(model, copy, draw, n_images, settings, seed, checkpoint)
    return model, losses


def test_rate_rises_and_drops():
    settings = OrientedTuning()
    assert lr_factor(0, 35_175, settings) == pytest.approx(1e-6)
    assert lr_factor(250, 35_175, settings) == pytest.approx(0.5, abs=1e-5)
    assert lr_factor(500, 35_175, settings) == 1
    # Epochs 8 and 11 of 12.
    factors = [lr_factor(step, 12_000, settings) for step in (7999, 8000, 10_999, 11_000)]
    assert factors == pytest.approx([1, 0.1, 0.1, 0.01])


def test_every_image_is_seen_once_an_epoch(tiny_encoder):
    made, seen = pictures(3), []

    def draw(place, rng):
        seen.append(place)
        return made[place]

    _, losses = trained(tiny_encoder, draw)
    assert len(losses) == 3
    assert sorted(seen) == [0, 0, 1, 1, 2, 2]
    assert sorted(seen[:3]) == [0, 1, 2]


def test_training_is_a_function_of_the_seed_and_leaves_the_encoder_alone(tiny_encoder):
    made = pictures(3)
    before = {k: v.clone() for k, v in tiny_encoder.state_dict().items()}
    first, losses = trained(tiny_encoder, lambda i, _: made[i])
    second, again = trained(tiny_encoder, lambda i, _: made[i])
    other, _ = trained(tiny_encoder, lambda i, _: made[i], seed=1)
    assert losses == again
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(
        other.neck.layer_blocks[0][0].weight, first.neck.layer_blocks[0][0].weight
    )
    assert all(torch.equal(before[k], v) for k, v in tiny_encoder.state_dict().items())
    tuned = first.pyramid.encoder.vit.blocks[0].attn.qkv.weight
    assert not torch.equal(tuned, before["vit.blocks.0.attn.qkv.weight"])


def test_a_frozen_encoder_stays_as_it_is(tiny_encoder):
    made = pictures(2)
    settings = SETTINGS.model_copy(update={"frozen": True})
    model, _ = trained(tiny_encoder, lambda i, _: made[i], settings, n_images=2)
    before = tiny_encoder.state_dict()
    assert all(torch.equal(before[k], v) for k, v in model.pyramid.encoder.state_dict().items())


def test_unreadable_images_are_left_out_not_replaced(tiny_encoder):
    made = pictures(3)
    _, losses = trained(tiny_encoder, lambda i, _: made[i] if i else None)
    assert 2 <= len(losses) <= 3
    assert trained(tiny_encoder, lambda i, _: None)[1] == []


def test_a_loss_that_is_no_number_stops(tiny_encoder):
    made = pictures(2)
    settings = SETTINGS.model_copy(update={"lr": 1e30, "warmup_steps": 0, "epochs": 4})
    with pytest.raises(RspipeError, match=r"loss nan in step \d+; lower lr"):
        trained(tiny_encoder, lambda i, _: made[i], settings, n_images=2)


class Killed(Exception):
    """Stands for the end of the process."""


def test_killed_and_resumed_is_undisturbed(tiny_encoder, tmp_path, monkeypatch):
    made = pictures(3)
    settings = SETTINGS.model_copy(update={"epochs": 4, "drop_path": 0.3})
    straight, losses = trained(tiny_encoder, lambda i, _: made[i], settings)
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 2)
    step = training._step
    steps = iter(range(100))

    def dying(*arguments):
        if next(steps) == 3:
            raise Killed
        return step(*arguments)

    checkpoint = tmp_path / "work/fold_0.pt"
    monkeypatch.setattr(training, "_step", dying)
    with pytest.raises(Killed):
        trained(tiny_encoder, lambda i, _: made[i], settings, checkpoint=checkpoint)
    monkeypatch.setattr(training, "_step", step)
    resumed, rest = trained(tiny_encoder, lambda i, _: made[i], settings, checkpoint=checkpoint)
    assert rest == losses[2:]
    for (name, a), b in zip(
        straight.state_dict().items(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_a_damaged_checkpoint_is_named(tiny_encoder, tmp_path):
    made, checkpoint = pictures(2), tmp_path / "fold_0.pt"
    checkpoint.write_bytes(b"half a file")
    with pytest.raises(RspipeError, match=r"fold_0\.pt: no checkpoint of this training"):
        trained(tiny_encoder, lambda i, _: made[i], n_images=2, checkpoint=checkpoint)
