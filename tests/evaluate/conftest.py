# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from rspipe.evaluate.config import EvalRecipe
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.recipe import validate

TINY = EncoderConfig(
    timm_name="vit_tiny_patch16_224", img_px=32, patch_px=8, width=48, depth=2, heads=2
)


@pytest.fixture(scope="session")
def tiny_encoder() -> Encoder:
    return Encoder.random(TINY, seed=1).eval()


@pytest.fixture(scope="session")
def run_folder(tiny_encoder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    tiny_encoder.save(folder)
    return folder


@pytest.fixture
def recipe(run_folder, tmp_path):
    """Build a small recipe; `what` and `how` are merged with quick settings."""

    def build(data: Path, what: dict | None = None, **said) -> EvalRecipe:
        fast = {"epochs": 1, "min_steps": 60, "lr_grid": [8.0]}
        quick = {
            "bootstrap": {"resamples": 20},
            "logistic": {"c_grid": [0.1, 1.0]},
            **dict.fromkeys(("linear", "efficient", "attentive"), fast),
            "few_shot": {"shots": [1, 4], "draws": 2},
            "label_share": {"shares": [0.5], "draws": 2},
            "protocols": {"classification": ["knn", "knn_white", "logistic"]},
            "linear_segmentation": {"iterations": 30, "images_per_step": 4},
            "upernet": {
                **{"crop_px": 32, "stride_px": 24, "fit_px": None, "channels": 16},
                **{"iterations": 20, "images_per_step": 4, "lr": 1e-3, "warmup_iterations": 2},
            },
            "fine_tune": {"img_px": None, "epochs": 1, "images_per_step": 8, "seeds": 1},
            "linear_detector": {"tiles": 1, "steps": 60, "images_per_step": 4},
            "faster_rcnn": {
                **{"img_px": None, "epochs": 1, "warmup_steps": 2, "lr": 1e-3},
                "detector": {"width": 16, "regions": {"hidden": 16, "score_threshold": 0.0}},
            },
            "plain_detr": {
                **{"img_px": None, "epochs": 1, "warmup_steps": 2, "images_per_step": 4},
                "detector": {"width": 16, "heads": 2, "layers": 1, "hidden": 16, "queries": 8},
            },
            "oriented_rcnn": {
                **{"img_px": None, "epochs": 1, "warmup_steps": 2, "lr": 1e-3},
                "detector": {"width": 16, "regions": {"hidden": 16, "score_threshold": 0.0}},
            },
        }
        plain = {
            "name": "quick",
            "encoder": str(run_folder),
            "data": str(data),
            "out": str(tmp_path / "results"),
            "what": {**quick, **(what or {})},
            "how": {"device": "cpu", "threads": 1},
            **said,
        }
        return validate(plain, EvalRecipe, "test")

    return build
