# SPDX-License-Identifier: Apache-2.0
"""Pre-train an encoder: the whole flow of a run, for any objective."""

import copy
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import torch
import typer
from torch import Tensor, nn

from rspipe.corpus.reader import Corpus
from rspipe.errors import RunError, Stopped
from rspipe.objectives import Step
from rspipe.progress import Bar, tally
from rspipe.train.config import PretrainRecipe
from rspipe.train.data import Batch
from rspipe.train.distributed import join
from rspipe.train.hardware import attending, computing, resolve_precision
from rspipe.train.hooks import Hook, due_hooks
from rspipe.train.launched import Copied, Launched, Share, is_sound, lag_of, refuse
from rspipe.train.logging import MetricsLog
from rspipe.train.optimiser import set_rate
from rspipe.train.run import Run
from rspipe.train.run_folder import RunFolder
from rspipe.train.schedule import learning_rate
from rspipe.train.signals import Stop, stopping
from rspipe.train.sinks import SINKS, RunLabel


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
        if world.is_main:
            typer.echo(f"pretrain {recipe.name}: already complete in {folder.path}")
        return folder.path
    run = Run(folder, world)
    run.announce(corpus)
    with stopping(patient=world.size > 1) as stop:
        Training(run, hooks, stop).go()
    run.finish()
    world.wait()
    return folder.path


class Training:
    """The steps of a run.

    Args:
        run: at any step.
        hooks: what else to look at on the way.
        stop: whether someone asked this process to stop.
    """

    def __init__(self, run: Run, hooks: Sequence[Hook], stop: Stop) -> None:
        self.run = run
        self.hooks = hooks
        self.stop = stop
        self._under_way: deque[Launched] = deque()
        self._lag = lag_of(run.device)

    def go(self) -> None:
        """Do the remaining steps.

        Raises:
            RunError: the loss is not finite, or `stop` was asked for; the latter after a
                checkpoint, so that the same command continues.
        """
        run, steps = self.run, self.run.what.steps
        run.objective.train()
        ahead = run.batches.ahead(run.done, steps)
        with self._log() as log, self._progress_bar() as bar, closing(ahead):
            while run.done < steps:
                with run.meter.step():
                    with run.meter.waiting():
                        batch = next(ahead)
                    self._under_way.append(self._step(batch))
                    run.done += 1
                    values = self._settle(0 if self._is_due() else self._lag)
                self._show(bar)
                self._record(log, values)
                if run.done < steps and self._must_stop(values):
                    self._leave()

    def _step(self, batch: Batch) -> Launched:
        """Move the weights once; nothing here waits for the device."""
        run, what = self.run, self.run.what
        rate = learning_rate(run.done, what.steps, what.warmup_fraction, run.peak_lr)
        set_rate(run.optimiser, rate)
        run.optimiser.zero_grad()
        loss_per_image, terms = self._gradients(batch)
        wish = torch.full_like(loss_per_image[0], float(self.stop.signal_name is not None))
        shared = run.world.mean(torch.stack([loss_per_image.mean(), *terms.values(), wish]))
        norm = self._clip()
        # On the device, so that nobody has to wait: a step for which this is 1 is left out.
        run.optimiser.found_inf = 1 - (shared[0].isfinite() & norm.isfinite()).float()
        run.optimiser.step()
        if run.average is not None:
            run.average.update()
        return Launched(
            step=run.done,
            lr=rate,
            batch=batch,
            loss_per_image=loss_per_image,
            names=("loss", *terms, "wants_stop", "grad_norm"),
            values=Copied(torch.cat([shared, norm[None]])),
        )

    def _gradients(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Add up the gradients of all passes; return each image's loss and the loss's parts."""
        losses: list[Tensor] = []
        terms: dict[str, Tensor] = {}
        passes = self.run.passes()
        for index, cut in enumerate(passes):
            share = (cut.stop - cut.start) / len(batch.rows)
            is_last = index == len(passes) - 1
            with self.run.forward.sharing(is_last), attending(self.run.device):
                step = self._pass(batch, cut)
                (step.loss * share).backward()
            losses.append(step.loss_per_image.detach().float())
            for name, value in step.terms.items():
                terms[name] = terms.get(name, 0) + value.float() * share
        # A single part is the loss itself.
        return torch.cat(losses), terms if len(terms) > 1 else {}

    def _pass(self, batch: Batch, cut: slice) -> Step:
        with computing(self.run.device, self.run.precision):
            return self.run.forward(*self.run.prepared(batch, cut))

    def _clip(self) -> Tensor:
        """Clip the gradient by its norm over all parameters, and return what the norm was."""
        clip = self.run.what.clip if self.run.what.clip is not None else float("inf")
        norm = nn.utils.clip_grad_norm_(self.run.objective.parameters(), clip)
        whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        return whole

    def _settle(self, lag: int) -> dict[str, float]:
        """Read the numbers of all steps but the last `lag`; return the last ones read."""
        values: dict[str, float] = {}
        while len(self._under_way) > lag:
            step = self._under_way.popleft()
            values = step.read() | {"lr": step.lr}
            if not is_sound(values):
                self._refuse(step, values)
            self.run.loss = values["loss"]
        return values

    def _refuse(self, step: Launched, values: dict[str, float]) -> NoReturn:
        run, rows = self.run, step.batch.rows.tolist()
        share = Share(rows, run.batches.tile_ids(rows), step.loss_per_image.tolist())
        shares = run.world.gather(share)
        path = run.folder.nonfinite
        run.world.leave(refuse(path, step.step, values, shares, may_write=run.world.is_main))

    def _must_stop(self, values: dict[str, float]) -> bool:
        """Whether any process was asked to stop; all of them find the same."""
        if self.run.world.size == 1:
            return self.stop.signal_name is not None
        return values.get("wants_stop", 0.0) > 0

    def _leave(self) -> NoReturn:
        run = self.run
        self._settle(0)
        run.save_checkpoint()
        run.world.leave(
            Stopped(
                self.stop.signal_name,
                f"stopped by {self.stop.signal_name or 'a signal to another process'} after step "
                f"{run.done} of {run.what.steps}; checkpoint saved in {run.folder.checkpoints}; "
                "the same command continues",
            )
        )

    def _every(self, steps: int) -> bool:
        return self.run.done == self.run.what.steps or self.run.done % steps == 0

    def _due_hooks(self) -> list[Hook]:
        return due_hooks(self.hooks, self.run.done, self.run.what.steps)

    def _is_due(self) -> bool:
        """Whether the numbers of this step are needed at once."""
        how = self.run.how
        dials = (how.log_every_steps, how.checkpoint_every_steps, how.pictures_every_steps)
        return bool(self._due_hooks()) or any(self._every(steps) for steps in dials)

    def _record(self, log: MetricsLog | None, values: dict[str, float]) -> None:
        """Write what is due after this step; the last step is always due."""
        run, how, hooks = self.run, self.run.how, self._due_hooks()
        found = self._ask(hooks) if hooks else {}
        if hooks or self._every(how.log_every_steps):
            speed = run.meter.read(run.what.steps - run.done, run.device)
            if log is not None:
                shown = {k: v for k, v in values.items() if k != "wants_stop"}
                log.write(run.done, shown | speed | found)
        if self._every(how.pictures_every_steps):
            run.draw()
        if self._every(how.checkpoint_every_steps):
            run.save_checkpoint()

    def _ask(self, hooks: Sequence[Hook]) -> dict[str, float]:
        """Let the main process's hooks look at a copy of the encoder each."""
        encoder = self.run.encoder()
        found: dict[str, float] = {}
        if encoder is not None:
            encoder.to(self.run.device)
            for hook in hooks:
                found |= hook(self.run.done, copy.deepcopy(encoder))
        return found

    @contextmanager
    def _log(self) -> Iterator[MetricsLog | None]:
        run = self.run
        if not run.world.is_main:
            yield None
            return
        run.folder.nonfinite.unlink(missing_ok=True)  # of an attempt before
        settings = run.recipe.model_dump(mode="json")
        path, name = run.folder.path, run.recipe.name
        label = RunLabel(path, name, run.folder.fingerprint, settings, run.done)
        sinks = [SINKS[name](label) for name in run.how.log_to]
        with MetricsLog(path, run.done, sinks) as log:
            yield log

    def _progress_bar(self) -> Bar:
        return tally(
            self.run.recipe.name,
            self.run.what.steps,
            initial=self.run.done,
            unit="step",
            mininterval=1.0,
            disable=not self.run.world.is_main,
        )

    def _show(self, bar: Bar) -> None:
        rate = f"{self.run.meter.images_per_s:.0f}"
        bar.set_postfix({"loss": f"{self.run.loss:.4f}", "img/s": rate}, refresh=False)
        bar.update()
