# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that a killed run cannot break: written aside, then renamed."""

import os
from pathlib import Path
from typing import Any

import torch

from rspipe.errors import RunError

_POINTER = "last"


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write the state after `step` steps, point `last` at it, and drop old ones.

    Args:
        folder: holds all checkpoints of a run.
        step: steps done.
        state: tensors and plain values, so that it loads without running code.
        keep: newest checkpoints to keep.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:06d}.pt"
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    write_aside(folder / _POINTER, path.name)
    for old in sorted(folder.glob("step-*.pt"), key=_step_of)[:-keep]:
        old.unlink()
    return path


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the checkpoint that `last` points at; None where there is none.

    Raises:
        RunError: `last` points at a file that is absent or unreadable.
    """
    pointer = folder / _POINTER
    if not pointer.is_file():
        return None
    path = folder / pointer.read_text().strip()
    try:
        # Mapped: the processes of a machine share its pages.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch and pickle share no base of errors
        raise RunError(
            f"{path}: unreadable checkpoint ({error}); write an older one's name into {pointer}, "
            "or delete the run folder to start over"
        ) from error
    return state


def newest_step(folder: Path) -> int:
    """Say after how many steps the checkpoint was written that `last` points at; 0: none is."""
    pointer = folder / _POINTER
    return _step_of(Path(pointer.read_text().strip())) if pointer.is_file() else 0


def write_aside(path: Path, text: str) -> None:
    """Replace a small file in one move, so that no reader sees half of it."""
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(text)
    aside.replace(path)


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))
