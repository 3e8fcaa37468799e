# SPDX-License-Identifier: Apache-2.0
"""Where a killed fine-tuning goes on: weights, optimiser and all draws, in one file."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from rspipe.errors import RspipeError

_DAMAGE = (pickle.UnpicklingError, ValueError, LookupError, TypeError, EOFError, RuntimeError)


@dataclass(frozen=True)
class TuningCheckpoint:
    """A file that a killed training left, and leaves; whoever is done deletes it."""

    path: Path
    device: torch.device
    """Where the model is: its generator is kept too."""

    def save(self, step: int, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Write what the next step needs, under another name first.

        Args:
            step: the next one, counted from 0.
            model: with all its weights and buffers.
            optimiser: of the model.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f".{self.path.name}.partial")
        on_gpu = self.device.type == "cuda"
        state = {
            "step": step,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "draws": torch.get_rng_state(),
            "device_draws": torch.cuda.get_rng_state(self.device) if on_gpu else None,
        }
        torch.save(state, partial)
        partial.replace(self.path)

    def resume(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
        """Put everything back as it was saved; return the step to go on with, 0 without a file.

        Raises:
            RspipeError: the file is damaged, or of another training.
        """
        if not self.path.is_file():
            return 0
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            torch.set_rng_state(state["draws"])
            if state["device_draws"] is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(state["device_draws"], self.device)
            return int(state["step"])
        except _DAMAGE as error:
            raise RspipeError(
                f"{self.path}: no checkpoint of this training ({error}); delete it, run again"
            ) from error
