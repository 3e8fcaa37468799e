# SPDX-License-Identifier: Apache-2.0
"""What `rspipe pretrain` would do: `--dry-run`. No weight is made, nothing is written."""

from pathlib import Path

import torch

from rspipe.corpus.reader import Corpus
from rspipe.objectives import Objective, build
from rspipe.preview import Facts, Part, Preview
from rspipe.train.checkpoint import newest_step
from rspipe.train.config import PretrainRecipe
from rspipe.train.hardware import resolve_device, resolve_precision
from rspipe.train.logging import read_metrics
from rspipe.train.run import count_parameters
from rspipe.train.run_folder import RunFolder
from rspipe.train.schedule import absolute_lr, warn_of_epochs

_BYTES = 4  # of a float32, as which all values of a checkpoint are kept
_VALUES_PER_PARAMETER = 3  # the weight, and AdamW's two moments


def preview(recipe: PretrainRecipe) -> Preview:
    """Say how far the run is, and what it takes.

    Raises:
        CorpusError: there is no finished corpus.
        RunError: the run folder holds another run.
        WeightsError: `what.init_from` is not there.
    """
    device = resolve_device(recipe.how.device)
    precision = resolve_precision(recipe.what.precision, device)
    what = recipe.what.model_copy(update={"precision": precision})
    corpus = Corpus.open(recipe.corpus)
    folder = RunFolder(recipe.model_copy(update={"what": what}), corpus.fingerprint)
    folder.check()
    with torch.device("meta"):
        objective = build(what.objective, what.encoder, what.seed)
    is_done = folder.is_complete()
    done = what.steps if is_done else newest_step(folder.checkpoints)
    starts = () if what.init_from is None else (f"{what.init_from.path} (initial weights)",)
    warning = warn_of_epochs(what.steps, what.images_per_step, len(corpus))
    return Preview(
        verb="pretrain",
        name=recipe.name,
        reads=(f"{recipe.corpus}: {len(corpus):,} tiles ({corpus.fingerprint})", *starts),
        writes=(f"{folder.path} ({folder.fingerprint})",),
        parts=(Part(what.objective.name, done, what.steps, "steps", f"on {device}, {precision}"),),
        facts=_facts(recipe, objective, len(corpus), what.steps - done, folder.path),
        is_done=is_done,
        warnings=() if warning is None else (warning,),
    )


def _facts(
    recipe: PretrainRecipe, objective: Objective, n_tiles: int, steps_left: int, folder: Path
) -> Facts:
    what, macs = recipe.what, objective.macs_per_image()
    encoder, values = count_parameters(objective.encoder), count_parameters(objective)
    images_left = steps_left * what.images_per_step
    pace = _images_per_s(folder)
    kept = values * _VALUES_PER_PARAMETER + (encoder if what.ema_decay is not None else 0)
    return {
        "images per step": what.images_per_step,
        "epochs": what.steps * what.images_per_step / max(n_tiles, 1),
        "peak learning rate": absolute_lr(what.base_lr, what.images_per_step, objective.lr_scale),
        "encoder, million parameters": encoder / 1e6,
        "with decoder, million parameters": values / 1e6,
        "GMACs per image, forward": macs / 1e9,
        "MB of a checkpoint, about": kept * _BYTES / 1e6,
        "checkpoints kept": recipe.how.keep_checkpoints,
        "images per second so far": pace,
        "hours left at that pace": None if pace is None else images_left / pace / 3600,
    }


def _images_per_s(folder: Path) -> float | None:
    """Read the last pace of a run that was begun; None where it was not."""
    paces = [line["images_per_s"] for line in read_metrics(folder) if "images_per_s" in line]
    return float(paces[-1]) if paces else None
