# SPDX-License-Identifier: Apache-2.0
"""The recipes of DIOR and DIOR-R state the published protocol and run on fakes of their layout."""

import json
from pathlib import Path

from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.config import EvalRecipe
from rspipe.evaluate.detection.boxes.corners import to_corners
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNTuning
from rspipe.evaluate.detection.oriented.settings import OrientedTuning
from rspipe.evaluate.runner import evaluate
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.recipe import load_recipe
from tests.evaluate.detection.oriented.scenes import scenes
from tests.evaluate.native_sets import write_image

PIPELINES = Path(__file__).parents[2] / "pipelines"
TINY = EncoderConfig(
    timm_name="vit_tiny_patch16_224", img_px=32, patch_px=8, width=48, depth=2, heads=2
)
QUICK = (
    *(
        "what.oriented_rcnn.img_px=64",
        "what.oriented_rcnn.epochs=1",
        "what.oriented_rcnn.warmup_steps=2",
    ),
    *("what.oriented_rcnn.detector.width=16", "what.oriented_rcnn.detector.regions.hidden=16"),
    *("what.oriented_rcnn.detector.proposals.kept=20", "what.bootstrap.resamples=20"),
    *("what.oriented_rcnn.detector.regions.score_threshold=0.0", "how.device=cpu", "how.threads=1"),
    *("what.faster_rcnn.img_px=64", "what.faster_rcnn.epochs=1", "what.faster_rcnn.warmup_steps=2"),
    *("what.faster_rcnn.detector.width=16", "what.faster_rcnn.detector.regions.hidden=16"),
)
SIDES = ("left_top", "right_top", "right_bottom", "left_bottom")


def write_dior(folder: Path) -> None:
    """Splits train, val and test; images of test in a folder of their own; two kinds of XML."""
    lists = folder / "ImageSets/Main"
    lists.mkdir(parents=True)
    for seed, split in enumerate(("train", "val", "test")):
        images, truth = scenes(2, seed=seed)
        names = [f"{seed}{i:04d}" for i in range(2)]
        (lists / f"{split}.txt").write_text("\n".join(names))
        for name, image, objects in zip(names, images, truth, strict=True):
            pixels = ((image * 40) + 128).clamp(0, 255).permute(1, 2, 0).numpy()
            place = "JPEGImages-test" if split == "test" else "JPEGImages-trainval"
            write_image(folder / place / f"{name}.png", pixels)
            corners = to_corners(objects.boxes)
            for kind, boxes in (
                ("Oriented", [f"<robndbox>{corners_xml(c)}</robndbox>" for c in corners]),
                ("Horizontal", [f"<bndbox>{hull_xml(c)}</bndbox>" for c in corners]),
            ):
                xml = "".join(
                    f"<object><name>{('ship', 'vehicle')[label]}</name>{box}</object>"
                    for box, label in zip(boxes, objects.labels, strict=True)
                )
                path = folder / f"Annotations/{kind} Bounding Boxes" / f"{name}.xml"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"<annotation>{xml}</annotation>")


def corners_xml(corners):
    return "".join(
        f"<{axis}_{side}>{float(v):.2f}</{axis}_{side}>"
        for side, corner in zip(SIDES, corners, strict=True)
        for axis, v in zip("xy", corner, strict=True)
    )


def hull_xml(corners):
    low, high = corners.amin(dim=0).round().int(), corners.amax(dim=0).round().int()
    return "".join(
        f"<{axis}{end}>{int(v)}</{axis}{end}>"
        for end, values in (("min", low), ("max", high))
        for axis, v in zip("xy", values, strict=True)
    )


def run(name, tmp_path):
    Encoder.random(TINY, seed=1).save(tmp_path / "run")
    write_dior(tmp_path / "data" / name)
    places = (f"encoder={tmp_path / 'run'}", f"data={tmp_path / 'data'}", f"out={tmp_path}/out")
    recipe = load_recipe(PIPELINES / name / "eval.yaml", EvalRecipe, [*places, *QUICK])
    (row,) = json.loads((evaluate(recipe) / "results.json").read_text())
    return EvalResult.model_validate(row)


def test_dior_trains_on_train_and_val_and_scores_test(tmp_path, capsys):
    result = run("dior", tmp_path)
    assert (result.status, result.protocol, result.metric) == ("done", "faster_rcnn", "AP50_coco")
    assert (result.n_train, result.n_test, result.n_classes) == (4, 2, 20)
    assert "COCO AP" in result.convention
    assert "horizontal" in result.convention
    assert result.extra["n_objects"] == 6
    assert {name for name, value in result.per_class.items() if value is not None} <= {
        "ship",
        "vehicle",
    }
    assert "published: dior  SelectiveMAE ViT-L, OpticalRS-13M  AP50_coco 0.7870" in (
        capsys.readouterr().out
    )


def test_the_recipe_of_dior_states_the_published_protocol():
    recipe = load_recipe(PIPELINES / "dior/eval.yaml", EvalRecipe)
    assert recipe.what.faster_rcnn == FasterRCNNTuning()
    assert {figure.benchmark for figure in recipe.published} == {"dior"}
    assert {figure.metric for figure in recipe.published} == {"AP50_coco"}


def test_dior_r_trains_on_train_and_val_and_scores_test(tmp_path, capsys):
    result = run("dior_r", tmp_path)
    assert (result.status, result.protocol, result.metric) == (
        "done",
        "oriented_rcnn",
        "AP50_voc07",
    )
    assert (result.n_train, result.n_test, result.n_classes) == (4, 2, 2)
    assert "rotated IoU" in result.convention
    assert result.extra["n_objects"] == 6
    assert set(result.per_class) == {"ship", "vehicle"}
    assert "published: dior_r  SelectiveMAE ViT-L, OpticalRS-13M  AP50_voc07 0.7175" in (
        capsys.readouterr().out
    )


def test_the_recipe_of_dior_r_states_the_published_protocol():
    recipe = load_recipe(PIPELINES / "dior_r/eval.yaml", EvalRecipe)
    assert recipe.what.oriented_rcnn == OrientedTuning()
    assert {figure.benchmark for figure in recipe.published} == {"dior_r"}
    assert {figure.metric for figure in recipe.published} == {"AP50_voc07"}
