# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from rspipe.errors import RspipeError
from rspipe.evaluate.config import LinearSegmentation, UPerNetTuning
from rspipe.evaluate.segmentation import training
from rspipe.evaluate.segmentation.crops import draw_crop
from rspipe.evaluate.segmentation.evaluators import predict
from rspipe.evaluate.segmentation.masks import IGNORE
from rspipe.evaluate.segmentation.model import linear_segmenter, upernet_segmenter
from rspipe.evaluate.segmentation.scores import count_pixels, score
from rspipe.evaluate.segmentation.training import image_at, lr_factor, to_batch, train_segmenter
from rspipe.models.encoder import seeded

SMALL = UPerNetTuning(
    **{"crop_px": 32, "stride_px": 24, "fit_px": None, "scale": (1.0, 1.0), "channels": 16},
    **{"iterations": 9, "images_per_step": 2, "lr": 1e-3, "warmup_iterations": 3},
)


@pytest.fixture
def pictures():
    """Four pictures of 32 px: the class of a quarter is its colour."""
    rng = np.random.default_rng(0)
    colours = np.array([(200, 40, 40), (40, 200, 40), (40, 40, 200)])
    masks = rng.integers(0, 3, (4, 4, 4)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    images = np.clip(colours[masks] + rng.normal(0, 10, (4, 32, 32, 3)), 0, 255)
    return images.astype(np.uint8), masks


def train(model, pictures, settings, folder, seed=0):
    images, masks = pictures

    def draw(image, rng):
        return draw_crop(images[image], masks[image], 32, settings, rng)

    return train_segmenter(model, draw, 4, settings, seed, folder / "c.pt")


def build(encoder, settings=SMALL):
    with seeded(0):
        return upernet_segmenter(encoder, 3, settings)


def same(first, second):
    return all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_four_images_are_overfitted(tiny_encoder, pictures, tmp_path):
    settings = SMALL.model_copy(
        update={"iterations": 120, "images_per_step": 4, "photometric": False, "flip": False,
                "max_class_share": 1.0, "drop_path": 0.0}
    )  # fmt: skip
    model = build(tiny_encoder, settings)
    train(model, pictures, settings, tmp_path)
    counts = [
        count_pixels(predict(model, image, (32, 32), settings), mask, 3)
        for image, mask in zip(*pictures, strict=True)
    ]
    assert score(np.stack(counts), ("a", "b", "c"), 2, 0).value > 0.95


def test_killed_training_ends_with_the_same_weights(tiny_encoder, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 4)
    straight = build(tiny_encoder)
    losses = train(straight, pictures, SMALL, tmp_path / "straight")
    killed, images = build(tiny_encoder), pictures[0]

    class Killed(Exception):
        pass

    def dying(image, rng):
        steps.append(image)
        if len(steps) > 14:
            raise Killed
        return draw_crop(images[image], pictures[1][image], 32, SMALL, rng)

    steps = []
    with pytest.raises(Killed):
        train_segmenter(killed, dying, 4, SMALL, 0, tmp_path / "killed" / "c.pt")
    assert (tmp_path / "killed" / "c.pt").is_file()
    again = build(tiny_encoder)
    rest = train(again, pictures, SMALL, tmp_path / "killed")
    assert rest == losses[4:]
    assert same(straight, again)


def test_finished_training_is_not_repeated(tiny_encoder, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 3)
    first, second = build(tiny_encoder), build(tiny_encoder)
    train(first, pictures, SMALL, tmp_path)
    assert train(second, pictures, SMALL, tmp_path) == []
    assert same(first, second)


def test_checkpoint_of_another_network_is_refused(tiny_encoder, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 3)
    train(build(tiny_encoder), pictures, SMALL, tmp_path)
    wider = SMALL.model_copy(update={"channels": 8})
    with pytest.raises(RspipeError, match="delete it"):
        train(build(tiny_encoder, wider), pictures, wider, tmp_path)
    (tmp_path / "c.pt").write_bytes(b"torn")
    with pytest.raises(RspipeError, match="delete it"):
        train(build(tiny_encoder), pictures, SMALL, tmp_path)


def test_number_of_reading_threads_changes_nothing(tiny_encoder, pictures, tmp_path, monkeypatch):
    first = train(build(tiny_encoder), pictures, SMALL, tmp_path)
    monkeypatch.setattr(training, "READERS", 1)
    assert train(build(tiny_encoder), pictures, SMALL, tmp_path) == first


def test_frozen_encoder_stays_and_fine_tuned_one_learns(tiny_encoder, pictures, tmp_path):
    settings = LinearSegmentation(iterations=3, images_per_step=2)
    probe = linear_segmenter(tiny_encoder, 3, settings)
    train(probe, pictures, settings, tmp_path)
    assert same(probe.encoder, tiny_encoder)
    tuned = build(tiny_encoder)
    before = {k: v.clone() for k, v in tuned.encoder.vit.state_dict().items()}
    train(tuned, pictures, SMALL, tmp_path)
    moved = {k for k, v in tuned.encoder.vit.state_dict().items() if not torch.equal(v, before[k])}
    assert {"pos_embed", "patch_embed.proj.weight", "blocks.1.mlp.fc2.weight"} <= moved
    assert not moved & {"cls_token", "norm.weight", "norm.bias"}
    assert not tiny_encoder.vit.pos_embed.requires_grad


def test_rates_and_decays_of_the_protocol(tiny_encoder):
    model = build(tiny_encoder)
    scale, decay = {}, {}
    for group in model.groups(weight_decay=0.05):
        for parameter in group["params"]:
            scale[id(parameter)], decay[id(parameter)] = group["lr_scale"], group["weight_decay"]
    named = dict(model.named_parameters())
    assert set(scale) == {id(p) for p in named.values() if p.requires_grad}
    vit = "levels.encoder.vit."
    want = {
        "patch_embed.proj.weight": 0.9**3,
        "pos_embed": 0.9**3,
        "blocks.0.attn.qkv.weight": 0.9**2,
        "blocks.1.mlp.fc1.bias": 0.9,
    }
    for name, rate in want.items():
        assert scale[id(named[vit + name])] == pytest.approx(rate)
    assert scale[id(named["levels.adapter.to_half.weight"])] == 1
    assert scale[id(named["head.classify.weight"])] == 1
    bare = {name for name, p in named.items() if decay.get(id(p)) == 0}
    assert bare == {
        n for n, p in named.items() if p.ndim <= 1 or n.endswith(("pos_embed", "cls_token"))
    }


def test_rate_rises_linearly_and_falls_to_nothing():
    cosine = UPerNetTuning()
    assert lr_factor(0, cosine) == 1e-6
    assert lr_factor(750, cosine) == pytest.approx(0.5, abs=1e-6)
    assert lr_factor(1500, cosine) == 1
    assert lr_factor(1500 + 78_500 // 2, cosine) == pytest.approx(0.5)
    assert lr_factor(80_000, cosine) == pytest.approx(0, abs=1e-12)
    poly = UPerNetTuning(schedule="poly")
    assert lr_factor(1500 + 78_500 // 4, poly) == pytest.approx(0.75)


def test_loss_is_the_mean_over_the_pixels_that_count(tiny_encoder, pictures, tmp_path):
    images, masks = pictures
    blind = masks.copy()
    blind[:, :8] = IGNORE
    model = build(tiny_encoder).eval()
    rng = np.random.default_rng(0)
    crops = [draw_crop(images[i], blind[i], 32, LinearSegmentation(), rng) for i in (0, 1)]
    batch, targets = to_batch(model, crops)
    chances = model(batch).softmax(1).permute(0, 2, 3, 1)[targets != IGNORE]
    want = -chances.gather(1, targets[targets != IGNORE][:, None]).log().mean()
    torch.testing.assert_close(training._loss(model, crops, 0.0), want)
    nothing = np.full_like(masks, IGNORE)
    assert set(train(build(tiny_encoder), (images, nothing), SMALL, tmp_path)) == {0.0}


def test_padding_is_the_mean_colour(tiny_encoder, pictures):
    images, masks = pictures
    model = build(tiny_encoder)
    crop = draw_crop(
        images[0][:20], masks[0][:20], 32, LinearSegmentation(), np.random.default_rng(0)
    )
    batch, targets = to_batch(model, [crop])
    assert (batch[0, :, 20:] == 0).all()
    assert (targets[0, 20:] == IGNORE).all()
    assert batch[0, :, :20].abs().min() > 0


def test_every_round_shows_every_image_once():
    rounds = [[image_at(r * 7 + i, 7, seed=3) for i in range(7)] for r in range(3)]
    assert all(sorted(each) == list(range(7)) for each in rounds)
    assert rounds[0] != rounds[1]


def test_loss_that_is_no_number_stops_the_training(tiny_encoder, pictures, tmp_path):
    model = build(tiny_encoder)
    with torch.no_grad():
        model.head.classify.bias.fill_(math.nan)
    with pytest.raises(RspipeError, match="lower lr"):
        train(model, pictures, SMALL, tmp_path)


def test_auxiliary_head_adds_its_loss(tiny_encoder, pictures, tmp_path):
    settings = SMALL.model_copy(update={"auxiliary_weight": 0.4, "iterations": 1})
    model = build(tiny_encoder, settings)
    before = model.auxiliary.classify.weight.clone()
    images, masks = pictures

    def draw(image, rng):
        return draw_crop(images[image], masks[image], 32, settings, rng)

    (both,) = train_segmenter(model, draw, 4, settings, 0, tmp_path / "c.pt", 0.4)
    (alone,) = train_segmenter(build(tiny_encoder, settings), draw, 4, settings, 0,
                               tmp_path / "d.pt", 0.0)  # fmt: skip
    assert both == pytest.approx(alone + 0.4 * math.log(3), rel=0.05)
    assert not torch.equal(before, model.auxiliary.classify.weight)
