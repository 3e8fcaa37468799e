"""How a long step tells how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Called again and again while a step runs."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take note that `done` of `total` units of a step are done."""


def quiet(step: str, done: int, total: int) -> None:
    """Tell nobody."""
