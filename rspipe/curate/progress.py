# SPDX-License-Identifier: Apache-2.0
"""How a long step tells how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rspipe.progress import tally


class Progress(Protocol):
    """Called again and again while a step runs."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take note that `done` of `total` units of a step are done."""


def quiet(step: str, done: int, total: int) -> None:
    """Tell nobody."""


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Give a progress that is drawn on the terminal, each step in its turn."""
    with tally(f"  {title}") as bar:

        def show(step: str, done: int, total: int) -> None:
            bar.set_description_str(f"  {title}, {step}", refresh=False)
            bar.total, bar.n = total, done
            bar.refresh()

        yield show
