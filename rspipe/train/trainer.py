"""Pre-train an encoder: the whole flow of a run, for any objective."""

import json
import time
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
import typer
from jaxtyping import Int, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from rspipe.corpus.reader import Corpus
from rspipe.errors import RunError
from rspipe.models.encoder import WEIGHTS_FILE
from rspipe.objectives import Draws, Objective, Step, build
from rspipe.train.checkpoint import load_checkpoint, save_checkpoint, write_aside
from rspipe.train.config import PretrainRecipe, PretrainWhat
from rspipe.train.data import Batch, Batches
from rspipe.train.groups import Tiles
from rspipe.train.hardware import computing, resolve_device, resolve_precision
from rspipe.train.logging import MetricsLog
from rspipe.train.pictures import write_picture
from rspipe.train.run_folder import RunFolder
from rspipe.train.schedule import absolute_lr, learning_rate
from rspipe.train.signals import Stop, stopping

_PICTURE_TILES = 8


def pretrain(recipe: PretrainRecipe) -> Path:
    """Train, or continue, or find finished, the run of a recipe.

    Stopped at any moment and started again, it ends with the same weights, bit for bit on a CPU.

    Args:
        recipe: which corpus, which folder, what and how.

    Returns:
        The run folder, with `encoder.safetensors` in it.

    Raises:
        CorpusError: there is no finished corpus.
        RunError: the folder holds another run, the loss is not finite, or the run was stopped.
    """
    device = resolve_device(recipe.how.device)
    precision = resolve_precision(recipe.what.precision, device)
    what = recipe.what.model_copy(update={"precision": precision})
    corpus = Corpus.open(recipe.corpus)
    if not len(corpus):
        raise RunError(f"{recipe.corpus}: the corpus holds no tile; its ledger says why")
    folder = RunFolder(recipe.model_copy(update={"what": what}), corpus.fingerprint)
    folder.open()
    if folder.is_complete():
        typer.echo(f"pretrain {recipe.name}: already complete in {folder.path}; nothing to do")
        return folder.path
    if recipe.how.torch_threads:
        torch.set_num_threads(recipe.how.torch_threads)
    batches = Batches(lambda: Corpus.open(recipe.corpus), what, recipe.how)
    run = Run(folder, batches, device)
    run.announce(corpus)
    with stopping() as stop:
        run.train(stop)
    run.finish()
    return folder.path


class Run:
    """A run in progress: weights, optimiser, and how far it is.

    Args:
        folder: of the resolved recipe.
        batches: what to train on.
        device: where to train.
    """

    def __init__(self, folder: RunFolder, batches: Batches, device: torch.device) -> None:
        self.folder = folder
        self.what = folder.recipe.what
        self.precision = resolve_precision(self.what.precision, device)
        self.how = folder.recipe.how
        self.batches = batches
        self.device = device
        self.objective = build(self.what.objective, self.what.encoder, self.what.seed).to(device)
        self.optimiser = make_optimiser(self.objective, self.what)
        self.peak_lr = absolute_lr(
            self.what.base_lr, self.what.images_per_step, self.objective.lr_scale
        )
        self.done = 0
        self.elapsed_s = 0.0
        self.waited_s = 0.0
        self.loss = float("nan")
        self._resume()
        self._call = torch.compile(self.objective) if self.how.compile else self.objective

    def _resume(self) -> None:
        state = load_checkpoint(self.folder.checkpoints)
        if state is None:
            return
        if state["fingerprint"] != self.folder.fingerprint:
            raise RunError(
                f"{self.folder.checkpoints}: checkpoint of another run; delete {self.folder.path}"
            )
        self.objective.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done = state["step"]
        self.elapsed_s, self.waited_s, self.loss = (
            state[k] for k in ("elapsed_s", "waited_s", "loss")
        )

    def announce(self, corpus: Tiles) -> None:
        """Say what is read, where it goes, and how it is computed."""
        what, objective = self.what, self.objective
        epochs = what.steps * what.images_per_step / len(corpus)
        encoder, both = (count_parameters(m) / 1e6 for m in (objective.encoder, objective))
        start = f", continuing after step {self.done}" if self.done else ""
        typer.echo(
            f"pretrain {self.folder.recipe.name}: {what.objective.name} on {self.device}, "
            f"{what.precision}{start}\n"
            f"  reads   {self.folder.recipe.corpus}: {len(corpus):,} tiles ({corpus.fingerprint})\n"
            f"  writes  {self.folder.path} ({self.folder.fingerprint})\n"
            f"  model   encoder {encoder:.2f} M parameters, with decoder {both:.2f} M; "
            f"{objective.macs_per_image() / 1e6:,.1f} MMACs per image, forward\n"
            f"  steps   {what.steps:,} of {what.images_per_step} images, "
            f"{epochs:.1f} epochs, peak lr {self.peak_lr:.2e}"
        )

    def train(self, stop: Stop) -> None:
        """Do the remaining steps.

        Raises:
            RunError: the loss is not finite, or `stop` was asked for; the latter after a
                checkpoint, so that the same command continues.
        """
        self.objective.train()
        ahead = self.batches.ahead(self.done, self.what.steps)
        with MetricsLog(self.folder.path, self.done) as log, self._progress_bar() as bar:
            for _ in range(self.done, self.what.steps):
                started = time.perf_counter()
                batch = next(ahead)
                waited_s = time.perf_counter() - started
                values = self._step(batch)
                step_s = time.perf_counter() - started
                self.done += 1
                self.elapsed_s += step_s
                self.waited_s += waited_s
                values |= {
                    "images_per_s": len(batch.rows) / step_s,
                    "data_wait_share": waited_s / step_s,
                    "elapsed_s": self.elapsed_s,
                }
                self._show(bar, values)
                self._record(log, values)
                if stop.signal_name:
                    ahead.close()
                    self._leave(stop.signal_name)

    def _leave(self, signal_name: str) -> NoReturn:
        self._save_checkpoint()
        raise RunError(
            f"stopped by {signal_name} after step {self.done} of {self.what.steps}; checkpoint "
            f"saved in {self.folder.checkpoints}; the same command continues"
        )

    def _step(self, batch: Batch) -> dict[str, float]:
        """Move the weights once; one generator per pass, so a resumed run draws the same."""
        rate = learning_rate(self.done, self.what.steps, self.what.warmup_fraction, self.peak_lr)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        passes = self.what.forwards_per_step
        losses, logs = [], {}
        cuts = (np.array_split(values, passes) for values in (batch.images, batch.places))
        for images, places in zip(*cuts, strict=True):
            step = self._forward(images, places)
            (step.loss / passes).backward()  # type: ignore[no-untyped-call]
            losses.append(step.loss_per_image.detach())
            logs = {k: float(v) for k, v in step.terms.items()} if len(step.terms) > 1 else {}
        clip = self.what.clip if self.what.clip is not None else float("inf")
        norm = float(nn.utils.clip_grad_norm_(self.objective.parameters(), clip))
        loss_per_image = torch.cat(losses).float().cpu()
        self.loss = float(loss_per_image.mean())
        if not np.isfinite([self.loss, norm]).all():
            self._refuse(batch, loss_per_image, norm)
        self.optimiser.step()
        return {"loss": self.loss, "lr": rate, "grad_norm": norm, **logs}

    def _forward(self, images: UInt8[np.ndarray, "B H W C"], places: Int[np.ndarray, " B"]) -> Step:
        with computing(self.device, self.precision):
            inputs = self.objective.encoder.preprocess(images)
            draws = Draws(self.what.seed, torch.from_numpy(places).to(self.device))
            plan = self.objective.plan(inputs, self.done / self.what.steps, draws)
            step: Step = self._call(inputs, plan)
        return step

    def _refuse(self, batch: Batch, loss_per_image: Tensor, norm: float) -> NoReturn:
        """Leave what is needed to look at the batch, and the weights as they were."""
        path = self.folder.path / "nonfinite.json"
        note = {
            "step": self.done,
            "corpus_rows": batch.rows.tolist(),
            "tile_ids": self.batches.tile_ids(batch.rows.tolist()),
            "loss_per_image": [str(v) for v in loss_per_image.tolist()],
            "grad_norm": str(norm),
        }
        write_aside(path, json.dumps(note, indent=2) + "\n")
        raise RunError(
            f"step {self.done}: loss {self.loss}, gradient norm {norm}; the rows of the batch are "
            f"in {path}; lower what.base_lr, or set what.precision=fp32"
        )

    def _progress_bar(self) -> "tqdm[NoReturn]":
        return tqdm(
            total=self.what.steps,
            initial=self.done,
            desc=self.folder.recipe.name,
            unit="step",
            mininterval=1.0,
        )

    def _show(self, bar: "tqdm[NoReturn]", values: dict[str, float]) -> None:
        rate = f"{values['images_per_s']:.0f}"
        bar.set_postfix({"loss": f"{self.loss:.4f}", "img/s": rate}, refresh=False)
        bar.update()

    def _record(self, log: MetricsLog, values: dict[str, float]) -> None:
        """Write what is due after this step; the last step is always due."""
        last = self.done == self.what.steps
        if last or self.done % self.how.log_every_steps == 0:
            log.write(self.done, values)
        if last or self.done % self.how.pictures_every_steps == 0:
            self._draw()
        if last or self.done % self.how.checkpoint_every_steps == 0:
            self._save_checkpoint()

    def _draw(self) -> None:
        """Draw the same tiles with the same seed each time, so pictures can be compared."""
        encoder = self.objective.encoder
        batch = self.batches.fixed(_PICTURE_TILES)
        images = encoder.preprocess(batch.images)
        draws = Draws(self.what.seed, torch.from_numpy(batch.places).to(self.device))
        self.objective.eval()
        with computing(self.device, self.precision):
            plan = self.objective.plan(images, self.done / self.what.steps, draws)
            made = self.objective.reconstruct(images, plan)
        self.objective.train()
        write_picture(self.folder.pictures / f"step-{self.done:06d}.png", images, made, encoder)

    def _save_checkpoint(self) -> None:
        state = {
            "fingerprint": self.folder.fingerprint,
            "step": self.done,
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "elapsed_s": self.elapsed_s,
            "waited_s": self.waited_s,
            "loss": self.loss,
        }
        save_checkpoint(self.folder.checkpoints, self.done, state, self.how.keep_checkpoints)

    def finish(self) -> None:
        """Write the encoder and declare the run complete."""
        self.objective.encoder.save(self.folder.path)
        seen = self.what.steps * self.what.images_per_step
        self.folder.write_manifest(
            {
                "device": str(self.device),
                "steps": self.done,
                "images_seen": seen,
                "final_loss": self.loss,
                "macs_per_image": self.objective.macs_per_image(),
                "encoder_parameters": count_parameters(self.objective.encoder),
                "all_parameters": count_parameters(self.objective),
                "peak_lr": self.peak_lr,
                "elapsed_s": round(self.elapsed_s, 3),
                "data_wait_s": round(self.waited_s, 3),
                "images_per_s": round(seen / max(self.elapsed_s, 1e-9), 2),
            }
        )
        typer.echo(
            f"pretrain {self.folder.recipe.name}: {self.done:,} steps in {self.elapsed_s:.0f} s of "
            f"training, final loss {self.loss:.4f}; wrote {self.folder.path / WEIGHTS_FILE}"
        )


def count_parameters(module: nn.Module) -> int:
    """Count the values of a module that stand in its file: fixed positions included."""
    return sum(parameter.numel() for parameter in module.parameters())


def make_optimiser(objective: Objective, what: PretrainWhat) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only: not on norms, biases and tokens.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101; groups as in He et al. 2022, app. A.1.
    """
    learned = [(n, p) for n, p in objective.named_parameters() if p.requires_grad]
    is_matrix = {n: p.ndim > 1 and not n.endswith(("cls_token", "mask_token")) for n, p in learned}
    groups = [
        {"params": [p for n, p in learned if is_matrix[n]], "weight_decay": what.weight_decay},
        {"params": [p for n, p in learned if not is_matrix[n]], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=what.base_lr, betas=what.betas)
