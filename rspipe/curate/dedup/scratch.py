# SPDX-License-Identifier: Apache-2.0
"""Arrays too large to hold: mapped from a file that nobody else sees."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rspipe.io.places import written_whole


def mapped_array(folder: Path, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> Any:
    """Make an array of zeros that lies in a file; the file is gone once the array is let go.

    The room is taken at once: a disk that filled up later would end the process without a word.

    Args:
        folder: local folder, made where there is none.
        name: of the file, while it has one.
        shape: of the array.
        dtype: of its values.

    Raises:
        NoSpace: the disk is full.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not size:
        return np.zeros(shape, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with written_whole(path, size) as partial, partial.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, size)
    mapped: NDArray[Any] = np.memmap(path, dtype, "r+", shape=shape)
    path.unlink()
    return mapped.view(np.ndarray)
