# SPDX-License-Identifier: Apache-2.0
"""Stop a run between two steps, not in the middle of one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether someone asked the run to stop, and how.

    Args:
        patient: whether to bear further signals. `torchrun` repeats the one that a terminal has
            sent already, and kills by itself what does not end in time.
    """

    def __init__(self, patient: bool = False) -> None:
        self.signal_name: str | None = None
        self._patient = patient

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Note the first signal; a second one ends an impatient process at once."""
        if self.signal_name is None:
            self.signal_name = signal.Signals(number).name
        elif not self._patient:
            raise KeyboardInterrupt


@contextmanager
def stopping(patient: bool = False) -> Iterator[Stop]:
    """Turn Ctrl-C and SIGTERM into a wish that the training loop reads between steps."""
    stop = Stop(patient)
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may listen to signals
        return
    before = {number: signal.signal(number, stop.ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
