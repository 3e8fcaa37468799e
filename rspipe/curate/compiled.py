# SPDX-License-Identifier: Apache-2.0
"""Loops over pixels and hashes, compiled to machine code on their first call.

The machine code is kept beside the module, or in the user's cache folder, so that a worker
compiles only where no worker did before. Where neither can be written (a read-only image run by a
stranger) each process compiles for itself: slower to start, with the same results.
"""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function of NumPy arrays and numbers; it lets go of the interpreter lock."""
    try:
        return cast(Function, njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # numba: no place for its cache
        return cast(Function, njit(nogil=True, error_model="numpy")(function))
