# SPDX-License-Identifier: Apache-2.0
"""Runs of two processes on the CPU, all in one start of them, as starting is what takes time.

Each scenario is a run folder; what is asserted of it stands in test_distributed.py.
"""

import json
import os
import signal
import socket
from pathlib import Path

import torch
import torch.multiprocessing

from rspipe.corpus.reader import Corpus
from rspipe.errors import RunError
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives.cross_mae import CrossMAEConfig
from rspipe.objectives.dmjd import DMJDConfig
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAEConfig
from rspipe.objectives.simmim import SimMIMConfig
from rspipe.train.config import PretrainHow, PretrainRecipe, PretrainWhat
from rspipe.train.trainer import Training, pretrain
from tests.train.fakes import FakeCorpus

ENCODER = EncoderConfig(img_px=32, patch_px=4, width=16, depth=2, heads=2)
DECODER = {"decoder_width": 16, "decoder_depth": 2, "decoder_heads": 2}
OBJECTIVES = {
    "mae": MAEConfig(**DECODER),
    "cross_mae": CrossMAEConfig(**DECODER),
    "selective_mae": SelectiveMAEConfig(**DECODER),
    "dmjd": DMJDConfig(**DECODER, visible_width=16, mask_cell_px=8),
    "simmim": SimMIMConfig(mask_cell_px=8),
}
PLANTED = 17
STOP_AFTER = 3


def recipe(out, objective="selective_mae", how=None, **what):
    settings = {"steps": 6, "images_per_step": 8, "base_lr": 1e-2, "precision": "fp32"}
    quiet = {"device": "cpu", "log_every_steps": 1, "pictures_every_steps": 100, "log_to": ()}
    return PretrainRecipe(
        name="tiny",
        corpus="anywhere",
        out=str(out),
        what=PretrainWhat(encoder=ENCODER, objective=OBJECTIVES[objective], **settings | what),
        how=PretrainHow(**quiet | (how or {})),
    )


class Terminate:
    """A hook that asks its own process, the main one, to stop."""

    every_steps = STOP_AFTER

    def __call__(self, step, encoder):
        if step == STOP_AFTER:
            signal.raise_signal(signal.SIGTERM)
        return {"width": float(encoder.config.width)}


def interrupted(folder, **said):
    """Start a run and have it stopped; `pretrain` with the same recipe goes on."""
    try:
        pretrain(recipe(folder, **said), hooks=[Terminate()])
    except (RunError, SystemExit) as left:
        return str(left)
    raise AssertionError("nobody stopped the run")


def poisoned(folder, **said):
    """Train where the loss of one tile is not a number, from its first time on."""
    original = Training._pass

    def spoilt(training, batch, cut):
        step = original(training, batch, cut)
        planted = torch.from_numpy(batch.rows[cut] == PLANTED)
        per_image = step.loss_per_image.masked_fill(planted, float("nan"))
        return type(step)(per_image.mean(), per_image, step.terms)

    Training._pass = spoilt
    try:
        pretrain(recipe(folder, **said))
    except (RunError, SystemExit) as left:
        return str(left)
    finally:
        Training._pass = original
    raise AssertionError("the loss of the planted tile was taken for a number")


def all_scenarios(rank, port, folder):
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
    }
    torch.set_num_threads(1)
    Corpus.open = lambda path: FakeCorpus()
    fsdp2 = {"parallel": "fsdp2", "activation_checkpointing": True}
    said = {}
    for name in OBJECTIVES:
        pretrain(recipe(folder / f"ddp_{name}", name))
    for name in ("cross_mae", "selective_mae"):
        pretrain(recipe(folder / f"fsdp2_{name}", name, fsdp2, ema_decay=0.5))
    for how in ({"parallel": "ddp"}, fsdp2):
        pretrain(recipe(folder / f"bf16_{how['parallel']}", how=how, precision="bf16"))
    pretrain(recipe(folder / "passes", how={"images_per_device": 3}))
    for how in ("ddp", "fsdp2"):
        out = folder / f"stopped_{how}"
        said[f"stopped_{how}"] = interrupted(out, how={"parallel": how}, ema_decay=0.5)
        pretrain(recipe(folder / f"continued_{how}", how={"parallel": how}, ema_decay=0.5))
        again = {"how": fsdp2, "ema_decay": 0.5} if how == "fsdp2" else {}
        interrupted(folder / f"resumed_{how}", **again)
        pretrain(recipe(folder / f"resumed_{how}", **again))
        said[f"poisoned_{how}"] = poisoned(folder / f"poisoned_{how}", how={"parallel": how})
    (folder / f"said_{rank}.json").write_text(json.dumps(said))


def run_all(folder: Path) -> None:
    """Start both processes and wait for them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        all_scenarios, args=(port, folder), nprocs=2, start_method="spawn"
    )
