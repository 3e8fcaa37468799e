# SPDX-License-Identifier: Apache-2.0
import json
import zipfile

import numpy as np
import pytest
import torch

from rspipe.catalog import card_for
from rspipe.errors import RecipeError
from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.runner import evaluate
from rspipe.evaluate.segmentation import evaluators, training
from rspipe.evaluate.segmentation.evaluators import (
    LinearSegmentationProbe,
    UPerNetSegmentation,
    predict,
)
from rspipe.evaluate.segmentation.floor_evaluators import MajorityPixels
from rspipe.evaluate.segmentation.scores import count_pixels, image_miou
from rspipe.evaluate.tuning.checkpoint import TuningCheckpoint
from rspipe.io.images import decode_mask
from tests.evaluate.native_sets import write_loveda, write_masks

CPU = torch.device("cpu")


@pytest.fixture
def roofs(tmp_path):
    write_masks(tmp_path / "roofs")
    return tmp_path / "roofs"


def listed(folder):
    return list_benchmark(folder, card_for(folder), What())


def what_of(recipe, folder, **said):
    return recipe(folder.parent, said).what


@pytest.mark.parametrize("protocol", [LinearSegmentationProbe, UPerNetSegmentation])
def test_learns_what_pixels_show(protocol, recipe, roofs, tiny_encoder, tmp_path):
    what = what_of(recipe, roofs)
    found = protocol(what, CPU).run_on_pixels(listed(roofs), tiny_encoder, tmp_path / "work")
    assert found.value > 0.85
    floor = MajorityPixels(what, CPU).run_without_encoder(listed(roofs))
    assert found.value > floor.value + 0.3
    assert found.extra["ignored_pixel_share"] == pytest.approx(1 / 32)
    assert found.arrays["confusion"].sum() == 6 * 31 * 32
    assert [one["rank"] for one in found.examples] == ["best"] * 3 + ["worst"] * 3
    for place, one in enumerate(found.examples):
        masks = found.arrays[f"predicted_{place}"], found.arrays[f"truth_{place}"]
        assert one["score"] == pytest.approx(image_miou(count_pixels(*masks, 2)), abs=1e-6)
    by_path = dict(zip(found.arrays["paths"], found.arrays["image_score"], strict=True))
    assert len(by_path) == 6
    assert found.examples[0]["score"] == pytest.approx(max(by_path.values()), abs=1e-6)
    assert found.examples[3]["score"] == pytest.approx(min(by_path.values()), abs=1e-6)
    assert list((tmp_path / "work").rglob("*.pt")) == []


def test_encoder_under_evaluation_is_left_as_it_is(recipe, roofs, tiny_encoder, tmp_path):
    before = {k: v.clone() for k, v in tiny_encoder.vit.state_dict().items()}
    UPerNetSegmentation(what_of(recipe, roofs), CPU).run_on_pixels(
        listed(roofs), tiny_encoder, tmp_path / "work"
    )
    assert all(torch.equal(v, before[k]) for k, v in tiny_encoder.vit.state_dict().items())
    assert not tiny_encoder.training


def test_same_seed_same_scores(recipe, roofs, tiny_encoder, tmp_path):
    runs = [
        UPerNetSegmentation(what_of(recipe, roofs), CPU).run_on_pixels(
            listed(roofs), tiny_encoder, tmp_path / name
        )
        for name in "ab"
    ]
    assert runs[0].value == runs[1].value
    assert (runs[0].arrays["confusion"] == runs[1].arrays["confusion"]).all()


def test_score_of_several_trainings_is_the_mean_of_theirs(recipe, roofs, tiny_encoder, tmp_path):
    def run(**said):
        brief = {"iterations": 3, "images_per_step": 2, "crop_px": 16}
        what = what_of(recipe, roofs, linear_segmentation={**brief, **said.pop("more", {})}, **said)
        probe = LinearSegmentationProbe(what, CPU)
        return probe.run_on_pixels(listed(roofs), tiny_encoder, tmp_path / "work")

    both, first, second = run(more={"seeds": 2}), run(), run(seed=1)
    alone = [first.value, second.value]
    assert alone[0] != alone[1]
    assert both.value == pytest.approx(np.mean(alone), abs=1e-12)
    assert both.extra["by_seed"] == pytest.approx(alone, abs=1e-6)
    assert both.columns == {
        "n_seeds": 2,
        "seed_std": pytest.approx(np.std(alone, ddof=1), abs=1e-6),
    }
    assert both.ci_low <= both.value <= both.ci_high
    sums = first.arrays["confusion"] + second.arrays["confusion"]
    np.testing.assert_array_equal(both.arrays["confusion"], sums)
    np.testing.assert_array_equal(both.arrays["image_score"], first.arrays["image_score"])


def test_cell_killed_in_training_goes_on(recipe, roofs, tiny_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 8)
    what = what_of(recipe, roofs)

    def run(work):
        return UPerNetSegmentation(what, CPU).run_on_pixels(listed(roofs), tiny_encoder, work)

    straight = run(tmp_path / "straight")
    save, saved = TuningCheckpoint.save, []

    def save_and_die(*given):
        save(*given)
        saved.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(TuningCheckpoint, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    assert (tmp_path / "killed" / "seed_0_fold_0.pt").is_file()
    monkeypatch.setattr(TuningCheckpoint, "save", save)
    assert run(tmp_path / "killed").value == straight.value


def test_unreadable_image_or_mask_is_named_and_not_scored(recipe, roofs, tiny_encoder, tmp_path):
    (roofs / "train" / "images" / "1.png").write_bytes(b"torn")
    (roofs / "test" / "masks" / "2.png").write_bytes(b"torn")
    found = LinearSegmentationProbe(what_of(recipe, roofs), CPU).run_on_pixels(
        listed(roofs), tiny_encoder, tmp_path / "work"
    )
    assert set(found.unreadable) == {"train/images/1.png", "test/images/2.png"}
    assert "test/masks/2.png" in found.unreadable["test/images/2.png"]
    assert found.estimates.n == 5


def test_images_of_any_size_are_scored_at_the_size_of_their_masks(
    recipe, roofs, tiny_encoder, tmp_path
):
    what = what_of(recipe, roofs)
    protocol = LinearSegmentationProbe(what, CPU)
    model = protocol.build(tiny_encoder, 2).eval()
    for size in ((20, 70), (32, 32), (100, 33)):
        image = np.zeros((*size, 3), np.uint8)
        assert predict(model, image, size, protocol.settings).shape == size
        assert predict(model, image, (7, 9), protocol.settings).shape == (7, 9)


def test_submission_has_every_image_of_the_split(recipe, tiny_encoder, tmp_path):
    write_loveda(tmp_path / "loveda")
    upernet = {
        **{"crop_px": 32, "fit_px": None, "channels": 8, "stride_px": 24, "images_per_step": 4},
        **{"iterations": 12, "warmup_iterations": 1, "lr": 1e-3, "submission_split": "Test"},
        "groups": ["Urban", "Rural"],
    }
    what = what_of(recipe, tmp_path / "loveda", upernet=upernet)
    found = UPerNetSegmentation(what, CPU).run_on_pixels(
        listed(tmp_path / "loveda"), tiny_encoder, tmp_path / "work"
    )
    assert {name: of["n"] for name, of in found.extra["groups"].items()} == {"Urban": 3, "Rural": 3}
    assert found.extra["ignored_pixel_share"] == pytest.approx(1 / 32)
    assert found.extra["submission"]["n"] == 6
    with zipfile.ZipFile(tmp_path / "work" / "submission.zip") as pack:
        assert pack.namelist() == [f"{i}.png" for i in (3, 4, 5, 0, 1, 2)]
        first = decode_mask(pack.read("0.png"), "0.png")
    assert set(np.unique(first)) <= set(range(7))
    assert not (tmp_path / "work" / "submission.pt").exists()


def test_submission_of_a_split_that_is_not_there_is_an_error(
    recipe, roofs, tiny_encoder, tmp_path, monkeypatch
):
    upernet = {**what_of(recipe, roofs).upernet.model_dump(), "submission_split": "hidden"}
    what = what_of(recipe, roofs, upernet={**upernet, "iterations": 1})
    monkeypatch.setattr(evaluators, "train_segmenter", None)  # told before anything is trained
    with pytest.raises(RecipeError, match="submission_split=hidden"):
        UPerNetSegmentation(what, CPU).run_on_pixels(listed(roofs), tiny_encoder, tmp_path / "work")


@pytest.mark.real_data
@pytest.mark.parametrize("protocol", ["linear", "upernet"])
def test_on_the_real_dubai_set_both_heads_beat_one_class_and_colour_alone(
    real_data, recipe, protocol
):
    what = {
        "protocols": {"segmentation": [protocol, "majority", "colour"]},
        "linear_segmentation": {"longest_px": 256, "iterations": 150, "images_per_step": 8},
        "upernet": {
            **{"longest_px": 256, "crop_px": 32, "stride_px": 32, "fit_px": None, "channels": 16},
            **{"iterations": 80, "images_per_step": 8, "lr": 5e-3, "warmup_iterations": 5},
            **{"scale": [1.0, 1.0], "photometric": False},
        },
        "baselines": [],
    }
    out = evaluate(recipe(real_data, what, benchmarks=["dubai_seg"], contamination="none"))
    rows = [EvalResult.model_validate(r) for r in json.loads((out / "results.json").read_text())]
    row, majority, colour = rows
    assert (row.n_train, row.n_test, row.n_classes, row.n_unreadable) == (36, 9, 5, 0)
    assert row.ci_low > 2 * majority.value
    assert row.extra["pixel_accuracy"]["value"] > colour.extra["pixel_accuracy"]["value"]
    assert {majority.n_test, colour.n_test} == {row.n_test}
    assert row.extra["over"]["majority"]["ci_low"] > 0
    assert 0 < row.extra["ignored_pixel_share"] < 0.05
