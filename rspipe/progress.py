# SPDX-License-Identifier: Apache-2.0
"""How long work tells how far it is: a bar on a terminal, a line now and then in a file.

A bar that is drawn over itself is thousands of lines in the log of a batch job.
"""

import sys
import time
from collections.abc import Iterable
from typing import Any, TypeAlias, TypeVar

from tqdm import tqdm

FIRST_LINE_SECONDS = 10
LINE_SECONDS = 30
_OF_TOTAL = (
    "{desc}: {n_fmt} of {total_fmt} ({percentage:.0f} %), {elapsed} gone, {remaining} left, "
    "{rate_fmt}{postfix}"
)
_WITHOUT_TOTAL = "{desc}: {n_fmt}, {elapsed} gone, {rate_fmt}{postfix}"

T = TypeVar("T")
Bar: TypeAlias = "tqdm[Any]"
"""One that counts: `update`, `set_postfix`, `close`."""


def track(
    iterable: Iterable[T], desc: str, total: int | None = None, *, unit: str = "it", **options: Any
) -> "tqdm[T]":
    """Go through something and tell how far it is.

    Args:
        iterable: what to go through.
        desc: the work, in a few words.
        total: how many there are, where `len` does not know.
        unit: what is counted.
        options: more of tqdm's own.
    """
    return _kind()(iterable, desc, total, unit=unit, **options)


def tally(desc: str, total: int | None = None, *, unit: str = "it", **options: Any) -> Bar:
    """Give a bar whose owner counts (`update`); arguments as for `track`."""
    return _kind()(None, desc, total, unit=unit, **options)


def counted(count: int, noun: str) -> str:
    """Say how many.

    >>> counted(1, "tile"), counted(1200, "tile")
    ('1 tile', '1,200 tiles')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _kind() -> "type[tqdm[Any]]":
    return tqdm if sys.stderr.isatty() else _Lines


class _Lines(tqdm):  # type: ignore[type-arg] # generic in its stubs alone
    """Writes a line after 10 s and then every 30 s, in place of drawing; short work writes none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._due_s = time.monotonic() + FIRST_LINE_SECONDS
        # Each update looks whether a line is due; tqdm would guess how many need not.
        super().__init__(*args, **{**options, "mininterval": 0, "miniters": 1})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line, if one is due."""
        now = time.monotonic()
        if msg is None and now >= self._due_s:
            self._due_s = now + LINE_SECONDS
            self.bar_format = _WITHOUT_TOTAL if self.total is None else _OF_TOTAL
            self.fp.write(f"{self}\n")
            self.fp.flush()

    def clear(self, *_args: Any, **_options: Any) -> None:
        """Leave what is written."""

    def close(self) -> None:
        """End without the line breaks that a drawn bar needs."""
        if not self.disable:
            self.last_print_t = self.start_t - 1  # to tqdm: nothing was drawn
        super().close()
