"""Pre-train an encoder: the whole flow of a run, for any objective."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

import numpy as np
import torch
import typer
from torch import Tensor, nn
from tqdm import tqdm

from rspipe.corpus.reader import Corpus
from rspipe.errors import RunError
from rspipe.models.encoder import WEIGHTS_FILE, Encoder
from rspipe.objectives import Draws, Objective, Plan, Step, build
from rspipe.objectives.initial_weights import initialise_from
from rspipe.train.checkpoint import load_checkpoint, save_checkpoint
from rspipe.train.config import PretrainRecipe
from rspipe.train.data import Batch, Batches
from rspipe.train.distributed import Forward, World, join
from rspipe.train.ema import Average
from rspipe.train.hardware import attending, computing, resolve_precision
from rspipe.train.hooks import Hook, due_hooks
from rspipe.train.launched import Copied, Launched, Share, is_sound, refuse
from rspipe.train.logging import MetricsLog
from rspipe.train.optimiser import make_optimiser, set_rate
from rspipe.train.peaks import find_peak
from rspipe.train.pictures import roles_of, write_picture
from rspipe.train.run_folder import RunFolder
from rspipe.train.schedule import absolute_lr, learning_rate
from rspipe.train.signals import Stop, stopping
from rspipe.train.sinks import SINKS, RunLabel
from rspipe.train.state import gather_state, gather_whole, spread_state
from rspipe.train.throughput import Meter, peak_memory_bytes

_PICTURE_TILES = 8
# Steps that a GPU may be behind the host when their numbers are read.
_LAG = 1


def pretrain(recipe: PretrainRecipe, hooks: Sequence[Hook] = ()) -> Path:
    """Train, or continue, or find finished, the run of a recipe.

    Stopped at any moment and started again, it ends with the same weights: bit for bit on a CPU
    with as many processes, else to the rounding of sums. Under `torchrun` all its processes call
    this function, and share the work.

    Args:
        recipe: which corpus, which folder, what and how.
        hooks: what else to look at on the way.

    Returns:
        The run folder, with `encoder.safetensors` in it.

    Raises:
        CorpusError: there is no finished corpus.
        RunError: the folder holds another run, the loss is not finite, or the run was stopped.
        WeightsError: `what.init_from` does not fit.
    """
    if recipe.how.torch_threads:
        torch.set_num_threads(recipe.how.torch_threads)
    world = join(recipe.how.device)
    precision = resolve_precision(recipe.what.precision, world.device)
    what = recipe.what.model_copy(update={"precision": precision})
    corpus = Corpus.open(recipe.corpus)
    if not len(corpus):
        raise RunError(f"{recipe.corpus}: the corpus holds no tile; its ledger says why")
    folder = RunFolder(recipe.model_copy(update={"what": what}), corpus.fingerprint)
    folder.open(may_write=world.is_main)
    if folder.is_complete():
        _say(world, f"pretrain {recipe.name}: already complete in {folder.path}")
        return folder.path
    run = Run(folder, world, hooks)
    run.announce(corpus)
    with stopping(patient=world.size > 1) as stop:
        run.train(stop)
    run.finish()
    world.wait()
    return folder.path


@runtime_checkable
class Checkpointed(Protocol):
    """A module that can compute its blocks again going backward, instead of keeping them."""

    checkpointed: bool


class Run:
    """A run in progress: weights, optimiser, and how far it is.

    Args:
        folder: of the resolved recipe.
        world: the processes of the run.
        hooks: what else to look at on the way.
    """

    def __init__(self, folder: RunFolder, world: World, hooks: Sequence[Hook] = ()) -> None:
        self.folder = folder
        self.recipe = folder.recipe
        self.what = folder.recipe.what
        self.how = folder.recipe.how
        self.world = world
        self.device = world.device
        self.precision = resolve_precision(self.what.precision, self.device)
        self.hooks = hooks
        self.loss = float("nan")
        self.done = 0
        self._under_way: deque[Launched] = deque()
        state = load_checkpoint(folder.checkpoints)
        self.objective = self._build(is_new=state is None)
        self.forward = Forward(self.objective, self.how, self.precision, world)
        self.optimiser = make_optimiser(self.objective, self.what)
        decay = self.what.ema_decay
        self.average = Average(self.objective.encoder, decay) if decay is not None else None
        self.batches = Batches(
            lambda: Corpus.open(self.recipe.corpus),
            self.what,
            self.how,
            rank=world.rank,
            world=world.size,
            with_regions=self.objective.needs_regions,
            pin=self.device.type == "cuda",
        )
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
            _say(self.world, f"pretrain {self.recipe.name}: from {start.path}: {report}")
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

    def announce(self, corpus: Corpus) -> None:
        """Say what is read, where it goes, and how it is computed."""
        what, objective, world = self.what, self.objective, self.world
        epochs = what.steps * what.images_per_step / len(corpus)
        encoder, both = (count_parameters(m) / 1e6 for m in (objective.encoder, objective))
        start = f", continuing after step {self.done}" if self.done else ""
        sharing = "fsdp2" if self.forward.is_sharded else "ddp"
        number = f"{world.size} x {self.device.type} ({sharing})"
        _say(
            world,
            f"pretrain {self.recipe.name}: {what.objective.name} on "
            f"{number if world.size > 1 else self.device}, {what.precision}{start}\n"
            f"  reads   {self.recipe.corpus}: {len(corpus):,} tiles ({corpus.fingerprint})\n"
            f"  writes  {self.folder.path} ({self.folder.fingerprint})\n"
            f"  model   encoder {encoder:.2f} M parameters, with decoder {both:.2f} M; "
            f"{objective.macs_per_image() / 1e6:,.1f} MMACs per image, forward\n"
            f"  steps   {what.steps:,} of {what.images_per_step} images in "
            f"{world.size * len(self._passes())} passes, {epochs:.1f} epochs, "
            f"peak lr {self.peak_lr:.2e}\n"
            f"  peak    {self.meter.peak.flops_per_s / 1e12:,.2f} TFLOP/s of a device "
            f"({self.meter.peak.source})",
        )

    def train(self, stop: Stop) -> None:
        """Do the remaining steps.

        Raises:
            RunError: the loss is not finite, or `stop` was asked for; the latter after a
                checkpoint, so that the same command continues.
        """
        self.objective.train()
        steps = self.what.steps
        ahead = self.batches.ahead(self.done, steps)
        with self._log() as log, self._progress_bar() as bar, closing(ahead):
            while self.done < steps:
                with self.meter.step():
                    with self.meter.waiting():
                        batch = next(ahead)
                    self._under_way.append(self._step(batch, stop.signal_name is not None))
                    self.done += 1
                    values = self._settle(0 if self._is_due() else self._lag)
                self._show(bar)
                self._record(log, values)
                if self._must_stop(values, stop):
                    self._leave(stop.signal_name)

    def _step(self, batch: Batch, wants_stop: bool) -> Launched:
        """Move the weights once; nothing here waits for the device."""
        what = self.what
        rate = learning_rate(self.done, what.steps, what.warmup_fraction, self.peak_lr)
        set_rate(self.optimiser, rate)
        self.optimiser.zero_grad()
        losses: list[Tensor] = []
        terms: dict[str, Tensor] = {}
        passes = self._passes()
        for index, cut in enumerate(passes):
            share = (cut.stop - cut.start) / len(batch.rows)
            is_last = index == len(passes) - 1
            with self.forward.sharing(is_last), attending(self.device):
                step = self._pass(batch, cut)
                (step.loss * share).backward()
            losses.append(step.loss_per_image.detach().float())
            for name, value in step.terms.items():
                terms[name] = terms.get(name, 0) + value.float() * share
        loss_per_image = torch.cat(losses)
        if len(terms) == 1:  # it is the loss itself
            terms = {}
        wish = torch.full_like(loss_per_image[0], float(wants_stop))
        shared = self.world.mean(torch.stack([loss_per_image.mean(), *terms.values(), wish]))
        norm = self._clip()
        # On the device, so that nobody has to wait: AdamW leaves out a step for which this is 1.
        self.optimiser.found_inf = 1 - (shared[0].isfinite() & norm.isfinite()).float()
        self.optimiser.step()
        if self.average is not None:
            self.average.update()
        return Launched(
            self.done,
            rate,
            batch,
            loss_per_image,
            ("loss", *terms, "wants_stop", "grad_norm"),
            Copied(torch.cat([shared, norm[None]])),
        )

    def _passes(self) -> list[slice]:
        """Cut this process's share of a step into passes of like size."""
        share = self.what.images_per_step // self.world.size
        count = -(-share // (self.how.images_per_device or share))
        ends = [share * (i + 1) // count for i in range(count)]
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def _pass(self, batch: Batch, cut: slice) -> Step:
        with computing(self.device, self.precision):
            return self.forward(*self._prepared(batch, cut))

    def _prepared(self, batch: Batch, cut: slice) -> tuple[Tensor, Plan]:
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

    def _clip(self) -> Tensor:
        """Clip the gradient by its norm over all parameters, and return what the norm was."""
        clip = self.what.clip if self.what.clip is not None else float("inf")
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), clip)
        whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        return whole

    @property
    def _lag(self) -> int:
        return _LAG if self.device.type == "cuda" else 0

    def _settle(self, lag: int) -> dict[str, float]:
        """Read the numbers of all steps but the last `lag`; return the last ones read."""
        values: dict[str, float] = {}
        while len(self._under_way) > lag:
            step = self._under_way.popleft()
            values = step.read() | {"lr": step.lr}
            if not is_sound(values):
                self._refuse(step, values)
            self.loss = values["loss"]
        return values

    def _refuse(self, step: Launched, values: dict[str, float]) -> NoReturn:
        rows = step.batch.rows.tolist()
        share = Share(rows, self.batches.tile_ids(rows), step.loss_per_image.tolist())
        shares = self.world.gather(share)
        path = self.folder.path / "nonfinite.json"
        self.world.leave(refuse(path, step.step, values, shares, may_write=self.world.is_main))

    def _must_stop(self, values: dict[str, float], stop: Stop) -> bool:
        """Whether any process was asked to stop; all of them find the same."""
        if self.world.size == 1:
            return stop.signal_name is not None
        return values.get("wants_stop", 0.0) > 0

    def _leave(self, signal_name: str | None) -> NoReturn:
        self._settle(0)
        self._save_checkpoint()
        self.world.leave(
            RunError(
                f"stopped by {signal_name or 'a signal to another process'} after step "
                f"{self.done} of {self.what.steps}; checkpoint saved in "
                f"{self.folder.checkpoints}; the same command continues"
            )
        )

    @contextmanager
    def _log(self) -> Iterator[MetricsLog | None]:
        if not self.world.is_main:
            yield None
            return
        folder, recipe = self.folder, self.recipe
        settings = recipe.model_dump(mode="json")
        label = RunLabel(folder.path, recipe.name, folder.fingerprint, settings, self.done)
        sinks = [SINKS[name](label) for name in self.how.log_to]
        with MetricsLog(folder.path, self.done, sinks) as log:
            yield log

    def _progress_bar(self) -> "tqdm[NoReturn]":
        return tqdm(
            total=self.what.steps,
            initial=self.done,
            desc=self.recipe.name,
            unit="step",
            mininterval=1.0,
            disable=not self.world.is_main,
        )

    def _show(self, bar: "tqdm[NoReturn]") -> None:
        rate = f"{self.meter.images_per_s:.0f}"
        bar.set_postfix({"loss": f"{self.loss:.4f}", "img/s": rate}, refresh=False)
        bar.update()

    def _every(self, steps: int) -> bool:
        return self.done == self.what.steps or self.done % steps == 0

    def _is_due(self) -> bool:
        """Whether the numbers of this step are needed at once."""
        how = self.how
        return bool(due_hooks(self.hooks, self.done, self.what.steps)) or any(
            self._every(steps)
            for steps in (how.log_every_steps, how.checkpoint_every_steps, how.pictures_every_steps)
        )

    def _record(self, log: MetricsLog | None, values: dict[str, float]) -> None:
        """Write what is due after this step; the last step is always due."""
        hooks = due_hooks(self.hooks, self.done, self.what.steps)
        found = self._ask(hooks) if hooks else {}
        if hooks or self._every(self.how.log_every_steps):
            speed = self.meter.read(self.what.steps - self.done, self.device)
            if log is not None:
                shown = {k: v for k, v in values.items() if k != "wants_stop"}
                log.write(self.done, shown | speed | found)
        if self._every(self.how.pictures_every_steps):
            self._draw()
        if self._every(self.how.checkpoint_every_steps):
            self._save_checkpoint()

    def _ask(self, hooks: Sequence[Hook]) -> dict[str, float]:
        """Let the main process's hooks look at a copy of the encoder."""
        encoder = self._encoder()
        found: dict[str, float] = {}
        if encoder is not None:
            for hook in hooks:
                found |= hook(self.done, encoder.to(self.device).eval())
        return found

    def _encoder(self) -> Encoder | None:
        """Copy the encoder as it would be exported now, on the CPU; None but for the main process.

        With fsdp2 every process must ask, as each holds a part.
        """
        if not (self.world.is_main or self.forward.is_sharded):
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
        return encoder

    def _draw(self) -> None:
        """Draw the same tiles with the same seed each time, so pictures can be compared."""
        if not (self.world.is_main or self.forward.is_sharded):
            return
        objective, encoder = self.objective, self.objective.encoder
        batch = self.batches.fixed(_PICTURE_TILES)
        objective.eval()
        with computing(self.device, self.precision), torch.no_grad():
            inputs, plan = self._prepared(batch, slice(None))
            made = objective.reconstruct(inputs, plan)
        objective.train()
        if self.world.is_main:
            roles = roles_of(plan, objective.views, objective.seeds, encoder.config.grid)
            path = self.folder.pictures / f"step-{self.done:06d}.png"
            write_picture(path, inputs, made, roles, encoder)

    def _save_checkpoint(self) -> None:
        if not (self.world.is_main or self.forward.is_sharded):
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
        """Write the encoder and declare the run complete."""
        encoder = self._encoder()
        if encoder is None:
            return
        encoder.save(self.folder.path)
        meter, seen = self.meter, self.what.steps * self.what.images_per_step
        self.folder.write_manifest(
            {
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
        )
        typer.echo(
            f"pretrain {self.recipe.name}: {self.done:,} steps in {meter.elapsed_s:.0f} s of "
            f"training, final loss {self.loss:.4f}; wrote {self.folder.path / WEIGHTS_FILE}"
        )


def count_parameters(module: nn.Module) -> int:
    """Count the values of a module that stand in its file: fixed positions included."""
    return sum(parameter.numel() for parameter in module.parameters())


def device_name(device: torch.device) -> str:
    """Name a device as its maker does."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _say(world: World, text: str) -> None:
    if world.is_main:
        typer.echo(text)
