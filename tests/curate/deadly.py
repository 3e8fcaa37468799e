# SPDX-License-Identifier: Apache-2.0
"""Work that kills the process that does it; children import it from here."""

import os
import signal
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Numbers:
    """Some numbers, each a row."""

    numbers: tuple

    def count(self):
        return len(self.numbers)

    def piece(self, start, stop):
        return Numbers(self.numbers[start:stop])

    def give_up(self, why):
        return pa.table({"number": self.numbers, "said": [why]})


def work(item):
    """666 kills, 667 takes 600 MB, 668 raises; any other number is a row."""
    for number in item.numbers:
        if number == 666:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 667:
            held = [bytearray(b"x" * 1_000_000) for _ in range(600)]
            while held:
                pass
        if number == 668:
            raise ValueError("a fault of ours")
    return pa.table({"number": item.numbers, "said": ["fine"] * len(item.numbers)})
