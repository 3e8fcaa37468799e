# SPDX-License-Identifier: Apache-2.0
"""A run in progress: its weights, its optimiser, how far it is, and what it leaves on disk."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import typer
from torch import Tensor, nn

from rspipe.corpus.reader import Corpus
from rspipe.errors import RunError
from rspipe.models.encoder import WEIGHTS_FILE, Encoder
from rspipe.objectives import Draws, Objective, Plan, build
from rspipe.objectives.initial_weights import initialise_from
from rspipe.train.checkpoint import load_checkpoint, save_checkpoint
from rspipe.train.data import Batch, Batches
from rspipe.train.distributed import Forward, World
from rspipe.train.ema import Average
from rspipe.train.hardware import computing, resolve_precision
from rspipe.train.optimiser import make_optimiser
from rspipe.train.peaks import find_peak
from rspipe.train.pictures import roles_of, write_picture
from rspipe.train.run_folder import RunFolder
from rspipe.train.schedule import absolute_lr, warn_of_epochs
from rspipe.train.state import gather_state, gather_whole, spread_state
from rspipe.train.throughput import Meter, peak_memory_bytes

_PICTURE_TILES = 8


@runtime_checkable
class Checkpointed(Protocol):
    """A module that can compute its blocks again going backward, instead of keeping them."""

    checkpointed: bool


class Run:
    """A run as one of its processes holds it; continues where its last checkpoint is.

    Args:
        folder: of the resolved recipe.
        world: the processes of the run.

    Raises:
        RunError: the checkpoint is another run's or unreadable, or a step's images cannot be
            shared evenly.
        WeightsError: `what.init_from` does not fit.
    """

    def __init__(self, folder: RunFolder, world: World) -> None:
        self.folder = folder
        self.recipe = folder.recipe
        self.what = folder.recipe.what
        self.how = folder.recipe.how
        self.world = world
        self.device = world.device
        self.precision = resolve_precision(self.what.precision, self.device)
        self.done = 0
        self.loss = float("nan")
        state = load_checkpoint(folder.checkpoints)
        self.objective = self._build(is_new=state is None)
        self.batches = Batches(
            lambda: Corpus.open(self.recipe.corpus),
            self.what,
            self.how,
            rank=world.rank,
            world=world.size,
            with_regions=self.objective.needs_regions,
            pin=self.device.type == "cuda",
        )
        self.forward = Forward(self.objective, self.how, self.precision, world)
        self.optimiser = make_optimiser(self.objective, self.what)
        decay = self.what.ema_decay
        self.average = Average(self.objective.encoder, decay) if decay is not None else None
        self.peak_lr = absolute_lr(
            self.what.base_lr, self.what.images_per_step, self.objective.lr_scale
        )
        self.meter = Meter(
            self.what.images_per_step,
            world.size,
            self.objective.macs_per_image(),
            find_peak(self.device, self.precision),
        )
        if state is not None:
            self._resume(state)

    def _build(self, is_new: bool) -> Objective:
        objective = build(self.what.objective, self.what.encoder, self.what.seed)
        start = self.what.init_from
        if start is not None and is_new:
            report = initialise_from(objective, Path(start.path), start.encoder_only, start.resize)
            self.say(f"pretrain {self.recipe.name}: from {start.path}: {report}")
        for module in objective.modules():
            if isinstance(module, Checkpointed):
                module.checkpointed = self.how.activation_checkpointing
        return objective.to(self.device)

    def _resume(self, state: dict[str, Any]) -> None:
        if state["fingerprint"] != self.folder.fingerprint:
            raise RunError(
                f"{self.folder.checkpoints}: checkpoint of another run; delete {self.folder.path}"
            )
        spread_state(self.objective, self.optimiser, state)
        if self.average is not None:
            self.average.load(state["average"])
        self.done, self.loss = state["step"], state["loss"]
        self.meter.elapsed_s, self.meter.waited_s = state["elapsed_s"], state["waited_s"]

    def say(self, text: str) -> None:
        """Tell the user, once for all processes."""
        if self.world.is_main:
            typer.echo(text)

    def announce(self, corpus: Corpus) -> None:
        """Say what is read, where it goes, and how it is computed."""
        what, objective, world = self.what, self.objective, self.world
        epochs = what.steps * what.images_per_step / len(corpus)
        encoder, both = (count_parameters(m) / 1e6 for m in (objective.encoder, objective))
        start = f", continuing after step {self.done}" if self.done else ""
        sharing = "fsdp2" if self.forward.is_sharded else "ddp"
        several = f"{world.size} x {self.device.type} ({sharing})"
        self.say(
            f"pretrain {self.recipe.name}: {what.objective.name} on "
            f"{several if world.size > 1 else self.device}, {what.precision}{start}\n"
            f"  reads   {self.recipe.corpus}: {len(corpus):,} tiles ({corpus.fingerprint})\n"
            f"  writes  {self.folder.path} ({self.folder.fingerprint})\n"
            f"  model   encoder {encoder:.2f} M parameters, with decoder {both:.2f} M; "
            f"{objective.macs_per_image() / 1e6:,.1f} MMACs per image, forward\n"
            f"  steps   {what.steps:,} of {what.images_per_step} images, {epochs:.1f} epochs, "
            f"peak lr {self.peak_lr:.2e}; passes of a device a step: {len(self.passes())}\n"
            f"  peak    {self.meter.peak.flops_per_s / 1e12:,.2f} TFLOP/s of a device "
            f"({self.meter.peak.source})"
        )
        warning = warn_of_epochs(what.steps, what.images_per_step, len(corpus))
        if warning is not None:
            self.say(f"  warning: {warning}")

    def passes(self) -> list[slice]:
        """Cut this process's share of a step into passes of like size."""
        share = self.what.images_per_step // self.world.size
        count = -(-share // (self.how.images_per_device or share))
        ends = [share * (i + 1) // count for i in range(count)]
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def prepared(self, batch: Batch, cut: slice) -> tuple[Tensor, Plan]:
        """Send some images of a batch to the device, standardise them, and plan."""
        images, places = (self._sent(part[cut]) for part in (batch.images, batch.places))
        regions = None if batch.regions is None else self._sent(batch.regions[cut])
        inputs = self.objective.encoder.normalise(images.permute(0, 3, 1, 2))
        draws = Draws(self.what.seed, places)
        plan = self.objective.plan(inputs, self.done / self.what.steps, draws, regions)
        return inputs, plan

    def _sent(self, array: np.ndarray) -> Tensor:
        """Send an array to the device; from page-locked memory the host need not wait."""
        tensor = torch.from_numpy(array)
        if self.device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    @property
    def _takes_part(self) -> bool:
        """Whether whole tensors need this process: the main one, or all where each has a part."""
        return self.world.is_main or self.forward.is_sharded

    def encoder(self) -> Encoder | None:
        """Copy the encoder as it would be exported now, on the CPU; None but for the main process.

        Every process must ask.
        """
        if not self._takes_part:
            return None
        state = (
            self.average.state()
            if self.average is not None
            else {k: gather_whole(v) for k, v in self.objective.encoder.state_dict().items()}
        )
        if not self.world.is_main:
            return None
        encoder = Encoder.random(self.what.encoder, self.what.seed)
        encoder.load_state_dict(state)
        return encoder.eval()

    def draw(self) -> None:
        """Draw the same tiles with the same masks' draws each time, so pictures can be compared."""
        if not self._takes_part:
            return
        objective, encoder = self.objective, self.objective.encoder
        objective.eval()
        with computing(self.device, self.precision), torch.no_grad():
            inputs, plan = self.prepared(self.batches.fixed(_PICTURE_TILES), slice(None))
            made = objective.reconstruct(inputs, plan)
        objective.train()
        if self.world.is_main:
            roles = roles_of(plan, objective.views, objective.seeds, encoder.config.grid)
            path = self.folder.pictures / f"step-{self.done:06d}.png"
            write_picture(path, inputs, made, roles, encoder)

    def save_checkpoint(self) -> None:
        """Write all that the run needs to go on; every process must ask."""
        if not self._takes_part:
            return
        state = gather_state(self.objective, self.optimiser)
        if self.average is not None:
            state["average"] = self.average.state()
        if self.world.is_main:
            state |= {
                "fingerprint": self.folder.fingerprint,
                "step": self.done,
                "elapsed_s": self.meter.elapsed_s,
                "waited_s": self.meter.waited_s,
                "loss": self.loss,
            }
            save_checkpoint(self.folder.checkpoints, self.done, state, self.how.keep_checkpoints)

    def finish(self) -> None:
        """Write the encoder and declare the run complete; every process must ask."""
        encoder = self.encoder()
        if encoder is None:
            return
        encoder.save(self.folder.path)
        self.folder.write_manifest(self._results())
        self.say(
            f"pretrain {self.recipe.name}: {self.done:,} steps in {self.meter.elapsed_s:.0f} s of "
            f"training, final loss {self.loss:.4f}; wrote {self.folder.path / WEIGHTS_FILE}"
        )

    def _results(self) -> dict[str, Any]:
        meter, seen = self.meter, self.what.steps * self.what.images_per_step
        return {
            "device": str(self.device),
            "device_name": device_name(self.device),
            "devices": self.world.size,
            "steps": self.done,
            "images_seen": seen,
            "final_loss": self.loss,
            "exported": "last weights" if self.average is None else "ema",
            "macs_per_image": self.objective.macs_per_image(),
            "encoder_parameters": count_parameters(self.objective.encoder),
            "all_parameters": count_parameters(self.objective),
            "peak_lr": self.peak_lr,
            "elapsed_s": round(meter.elapsed_s, 3),
            "data_wait_s": round(meter.waited_s, 3),
            "images_per_s": round(seen / max(meter.elapsed_s, 1e-9), 2),
            "peak_flops_per_s": meter.peak.flops_per_s,
            "peak_flops_source": meter.peak.source,
            "peak_memory_gib": round(peak_memory_bytes(self.device) / 2**30, 3),
        }


def count_parameters(module: nn.Module) -> int:
    """Count the values of a module that stand in its file: fixed positions included."""
    return sum(parameter.numel() for parameter in module.parameters())


def device_name(device: torch.device) -> str:
    """Name a device as its maker does."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
