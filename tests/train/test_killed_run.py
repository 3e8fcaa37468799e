# SPDX-License-Identifier: Apache-2.0
"""A run killed as machines kill, as the command line runs it, ends with the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import timm
import torch

from rspipe.errors import RunError
from rspipe.models.encoder import Encoder
from rspipe.recipe import load_recipe
from rspipe.train.checkpoint import load_checkpoint
from rspipe.train.config import PretrainRecipe
from rspipe.train.trainer import pretrain
from tests.train.fakes import write_corpus

RECIPE = """
name: t
corpus: {corpus}
out: {out}
what:
  encoder: {{img_px: 32, patch_px: 4, width: 48, depth: 2, heads: 2}}
  objective: {{name: selective_mae, decoder_width: 32, decoder_depth: 2, decoder_heads: 2}}
  images_per_step: 32
  steps: {steps}
  base_lr: 3e-2
  precision: fp32
how:
  {{device: cpu, checkpoint_every_steps: 7, log_every_steps: 1, torch_threads: 1,
    loader_threads: {threads}}}
"""
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "rspipe.cli"]


class StopAt:
    """A hook that asks the run to stop after a step."""

    every_steps = 1

    def __init__(self, step):
        self.step = step

    def __call__(self, step, encoder):
        if step == self.step:
            signal.raise_signal(signal.SIGTERM)
        return {}


class CommandLineRun:
    def __init__(self, folder, corpus, threads=2, steps=60):
        self.out = folder / "run"
        self.recipe = folder / "pretrain.yaml"
        folder.mkdir(exist_ok=True)
        self.recipe.write_text(
            RECIPE.format(corpus=corpus, out=self.out, threads=threads, steps=steps)
        )

    def start(self, command=("-m", "rspipe.cli")):
        log = (self.out.parent / "log.txt").open("a")
        return subprocess.Popen(
            [sys.executable, *command, "pretrain", str(self.recipe)],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def wait_for(self, child, steps):
        metrics = self.out / "metrics.jsonl"
        deadline = time.monotonic() + 240
        while not metrics.is_file() or len(metrics.read_text().splitlines()) < steps:
            assert child.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.005)

    def finish_here(self, hooks=()):
        return pretrain(load_recipe(self.recipe, PretrainRecipe), hooks)

    def log(self):
        return (self.out.parent / "log.txt").read_text()

    def weights(self):
        return (self.out / "encoder.safetensors").read_bytes()

    def losses(self):
        lines = (self.out / "metrics.jsonl").read_text().splitlines()
        return [(row["step"], row["loss"]) for row in map(json.loads, lines)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="module")
def straight(corpus, tmp_path_factory):
    run = CommandLineRun(tmp_path_factory.mktemp("straight"), corpus)
    run.finish_here()
    return run


def test_killed_and_resumed_with_other_threads_it_ends_with_the_same_bytes(
    corpus, straight, tmp_path
):
    killed = CommandLineRun(tmp_path, corpus)
    child = killed.start()
    killed.wait_for(child, steps=10)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait(timeout=30)
    assert not (killed.out / "manifest.json").exists()
    CommandLineRun(tmp_path, corpus, threads=1).finish_here()
    assert killed.weights() == straight.weights()
    assert killed.losses() == straight.losses()
    assert [step for step, _ in killed.losses()] == list(range(1, 61))
    losses = [loss for _, loss in killed.losses()]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_terminated_torchrun_leaves_a_checkpoint_that_one_process_continues(corpus, tmp_path):
    run = CommandLineRun(tmp_path, corpus, steps=2000)
    child = run.start(TORCHRUN)
    run.wait_for(child, steps=10)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=120) != 0
    assert run.log().count("stopped by SIGTERM after step") == 1, run.log()
    done = load_checkpoint(run.out / "checkpoint")["step"]
    assert f"after step {done} of 2000" in run.log()
    with pytest.raises(RunError, match=f"SIGTERM after step {done + 3} of 2000"):
        run.finish_here(hooks=[StopAt(done + 3)])
    assert [step for step, _ in run.losses()] == list(range(1, done + 4))


def test_timm_loads_the_exported_encoder_strictly_with_equal_features(straight):
    encoder = Encoder.load(straight.out)
    card = json.loads((straight.out / "encoder.json").read_text())
    model = timm.create_model(
        card["timm_name"],
        pretrained=True,
        pretrained_cfg_overlay={"file": str(straight.out / "encoder.safetensors")},
        **card["timm_kwargs"],
    )
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model.eval()
    with torch.no_grad():
        theirs = model.forward_features(images)
        ours = encoder.tokens(images, final_norm=True)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
