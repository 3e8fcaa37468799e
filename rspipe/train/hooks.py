# SPDX-License-Identifier: Apache-2.0
"""What a caller may look at during a run, without the trainer knowing what it is."""

from collections.abc import Sequence
from typing import Protocol

from rspipe.models.encoder import Encoder


class Hook(Protocol):
    """Called after every so many steps, and after the last one, on the main process alone."""

    every_steps: int

    def __call__(self, step: int, encoder: Encoder) -> dict[str, float]:
        """Judge the encoder as it would be exported now.

        Args:
            step: steps done.
            encoder: a copy in evaluation mode, on the run's device: changing it changes nothing.

        Returns:
            Values for the log, by names that no other hook uses.
        """


def due_hooks(hooks: Sequence[Hook], done: int, steps: int) -> list[Hook]:
    """List the hooks to call after `done` of `steps` steps."""
    return [hook for hook in hooks if done == steps or done % hook.every_steps == 0]
