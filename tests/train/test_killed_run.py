"""A run killed by SIGKILL, as the command line runs it, ends with the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import timm
import torch

from rspipe.models.encoder import Encoder

RECIPE = """
name: t
corpus: {corpus}
out: {out}
what:
  encoder: {{img_px: 64, patch_px: 8, width: 48, depth: 2, heads: 2}}
  objective: {{name: {objective}, decoder_width: 32, decoder_depth: 1, decoder_heads: 2}}
  images_per_step: 32
  steps: 60
  base_lr: 3e-2
how: {{checkpoint_every_steps: 7, log_every_steps: 1, torch_threads: 1, loader_threads: {threads}}}
"""


class CommandLineRun:
    def __init__(self, folder, corpus, objective, threads=2):
        self.out = folder / "run"
        self.recipe = folder / "pretrain.yaml"
        folder.mkdir(exist_ok=True)
        self.recipe.write_text(
            RECIPE.format(corpus=corpus, out=self.out, objective=objective, threads=threads)
        )

    def start(self):
        command = [sys.executable, "-m", "rspipe.cli", "pretrain", str(self.recipe)]
        log = (self.out.parent / "log.txt").open("a")
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def finish(self):
        assert self.start().wait(timeout=300) == 0, (self.out.parent / "log.txt").read_text()

    def kill_after(self, steps):
        child = self.start()
        metrics = self.out / "metrics.jsonl"
        deadline = time.monotonic() + 120
        while not metrics.is_file() or len(metrics.read_text().splitlines()) < steps:
            assert child.poll() is None, (self.out.parent / "log.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(timeout=30)

    def weights(self):
        return (self.out / "encoder.safetensors").read_bytes()

    def losses(self):
        lines = (self.out / "metrics.jsonl").read_text().splitlines()
        return [(row["step"], row["loss"]) for row in map(json.loads, lines)]


@pytest.mark.parametrize("objective", ["selective_mae", "mae"])
def test_killed_twice_and_resumed_it_ends_with_the_same_weights(small, tmp_path, objective):
    straight = CommandLineRun(tmp_path / "a", small.corpus, objective)
    straight.finish()
    killed = CommandLineRun(tmp_path / "b", small.corpus, objective)
    killed.kill_after(10)
    killed = CommandLineRun(tmp_path / "b", small.corpus, objective, threads=1)
    killed.kill_after(31)
    killed.finish()
    assert killed.weights() == straight.weights()
    assert killed.losses() == straight.losses()
    assert [step for step, _ in killed.losses()] == list(range(1, 61))
    losses = [loss for _, loss in killed.losses()]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_timm_loads_the_exported_encoder_strictly_with_equal_features(small, tmp_path):
    run = CommandLineRun(tmp_path / "a", small.corpus, "selective_mae")
    run.finish()
    encoder = Encoder.load(run.out)
    card = json.loads((run.out / "encoder.json").read_text())
    model = timm.create_model(
        card["timm_name"],
        pretrained=True,
        pretrained_cfg_overlay={"file": str(run.out / "encoder.safetensors")},
        **card["timm_kwargs"],
    )
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    model.eval()
    with torch.no_grad():
        theirs = model.forward_features(images)
        ours = encoder.tokens(images, final_norm=True)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
