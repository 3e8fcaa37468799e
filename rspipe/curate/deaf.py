# SPDX-License-Identifier: Apache-2.0
"""Loaded by every local Dask worker: Ctrl-C in a terminal reaches them all, and is the driver's.

A worker that hears it, too, prints a traceback over the one line that says how to go on.
"""

import signal


def dask_setup(_worker: object) -> None:
    """Let the driver alone hear Ctrl-C; it ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
