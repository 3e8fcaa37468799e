# SPDX-License-Identifier: Apache-2.0
"""Small rasters for tests."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_bounds


def write_raster(path: Path, values: np.ndarray, crs="EPSG:4326", nodata=None, **profile) -> Path:
    """Write (C, H, W) values as a GeoTIFF over 10..12° east, 40..41° north."""
    bands, height, width = values.shape
    profile = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": values.dtype,
        "nodata": nodata,
    } | profile
    if crs:
        bounds = from_bounds(10, 40, 12, 41, width, height)
        profile = {"crs": crs, "transform": bounds} | profile
    with rasterio.open(path, "w", **profile) as out:
        out.write(values)
    return path


def ramp(bands, dtype, height=20, width=40):
    values = np.arange(bands * height * width).reshape(bands, height, width)
    return (values % 256 if dtype == "uint8" else values * 7).astype(dtype)
