# SPDX-License-Identifier: Apache-2.0
"""A step that the device may still be working on, and its numbers once it is done.

Asking a GPU for a number stops the host until all its work is done. So the numbers of a step are
copied behind its back and read one step later, while the next is under way. A step whose loss or
gradient is not finite has not changed the weights, as the optimiser left it out on the device.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rspipe.errors import RunError
from rspipe.train.checkpoint import write_aside
from rspipe.train.data import Batch

_NAMED = 3


class Copied:
    """Numbers on their way from a device to the host."""

    def __init__(self, values: Float[Tensor, " n"]) -> None:
        self._values = values.to("cpu", non_blocking=True)
        self._arrived = None
        if values.is_cuda:
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def read(self) -> list[float]:
        """Wait for the device to get there, and no further."""
        if self._arrived is not None:
            self._arrived.synchronize()
        found: list[float] = self._values.tolist()
        return found


@dataclass(frozen=True)
class Launched:
    """One step under way."""

    step: int
    """Steps done before it."""
    lr: float
    batch: Batch
    """This process's share."""
    loss_per_image: Float[Tensor, " B"]
    names: Sequence[str]
    values: Copied
    """By `names`; the same on all processes."""

    def read(self) -> dict[str, float]:
        """Wait for its numbers."""
        return dict(zip(self.names, self.values.read(), strict=True))


def lag_of(device: torch.device) -> int:
    """Say how many steps a device may be behind the host when their numbers are read."""
    return 1 if device.type == "cuda" else 0


def is_sound(values: dict[str, float]) -> bool:
    """Whether a step could be used."""
    return math.isfinite(values["loss"]) and math.isfinite(values["grad_norm"])


@dataclass(frozen=True)
class Share:
    """What one process knows of the images of a step; plain values, to be sent."""

    rows: list[int]
    tile_ids: list[str]
    losses: list[float]


def refuse(
    path: Path,
    step: int,
    values: dict[str, float],
    shares: Sequence[Share],
    may_write: bool = True,
) -> RunError:
    """Leave what is needed to look at the images of a step, and say so.

    Args:
        path: of the note.
        step: steps done before it.
        values: its loss and gradient.
        shares: its images, by process.
        may_write: whether this process writes the note.
    """
    images = [
        {"tile_id": tile_id, "corpus_row": row, "loss": loss}
        for share in shares
        for tile_id, row, loss in zip(share.tile_ids, share.rows, share.losses, strict=True)
    ]
    offending = [image for image in images if not math.isfinite(float(str(image["loss"])))]
    note = {
        "step": step,
        "loss": str(values["loss"]),
        "grad_norm": str(values["grad_norm"]),
        "offending": [image | {"loss": str(image["loss"])} for image in offending],
        "images": [image | {"loss": str(image["loss"])} for image in images],
    }
    if may_write:
        write_aside(path, json.dumps(note, indent=2) + "\n")
    named = ", ".join(str(image["tile_id"]) for image in offending[:_NAMED])
    more = ", ..." if len(offending) > _NAMED else ""
    whose = f"of {named}{more}" if named else "each image's loss is finite, the gradient is not"
    return RunError(
        f"step {step}: loss {values['loss']}, gradient norm {values['grad_norm']}: {whose}; all "
        f"images of the step are in {path}; the step was left out and no checkpoint holds it; look "
        "at the tiles, lower what.base_lr, or set what.precision=fp32"
    )
