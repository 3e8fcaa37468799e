# SPDX-License-Identifier: Apache-2.0
"""Native data and settings so small that curate, pretrain and eval take seconds.

NumPy and Pillow only: `.ci/check-wheel` runs it as a program, outside the source tree.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

CARD = """\
name: kinds
layout: image_folder
task: classification
licence: CC0-1.0
benchmark_splits: [test]
"""

OVERRIDES = {
    "curate": ("what.exclude.min_side_px=32", "how.workers=1", "how.dashboard=false"),
    "pretrain": (
        "what.encoder.timm_name=vit_tiny_patch16_224",
        "what.encoder.img_px=32",
        "what.encoder.patch_px=8",
        "what.encoder.width=24",
        "what.encoder.depth=1",
        "what.encoder.heads=2",
        "what.objective.decoder_width=24",
        "what.objective.decoder_depth=1",
        "what.objective.decoder_heads=2",
        "what.images_per_step=8",
        "what.steps=4",
        "what.precision=fp32",
        "how.device=cpu",
        "how.torch_threads=1",
    ),
    "eval": (
        "what.protocols.classification=[knn]",
        "what.baselines=[random]",
        "what.bootstrap.resamples=20",
        "how.threads=1",
    ),
}
"""What makes the recipes of `rspipe init` small."""


def write_native(folder: Path) -> None:
    """Write an unlabelled data set, and a benchmark of two classes."""
    rng = np.random.default_rng(0)
    for i in range(16):
        _write(folder / "scenes" / f"scene_{i:02d}.png", _textured(rng, 96, 120))
    (folder / "kinds").mkdir(parents=True)
    (folder / "kinds/dataset.yaml").write_text(CARD)
    for split, count in (("train", 8), ("test", 4)):
        for name, level in (("dark", 60), ("light", 190)):
            for i in range(count):
                path = folder / "kinds" / split / name / f"{name}_{i}.png"
                _write(path, _textured(rng, 48, level))


def _textured(rng, side_px, level):
    """Blocks and noise around a grey level: nothing flat, no two alike."""
    blocks = rng.normal(0, 30, (side_px // 8, side_px // 8, 3)).repeat(8, 0).repeat(8, 1)
    noise = rng.normal(0, 6, (side_px, side_px, 3))
    return np.clip(level + blocks + noise, 0, 255).astype(np.uint8)


def _write(path: Path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    write_native(Path(sys.argv[1]))
