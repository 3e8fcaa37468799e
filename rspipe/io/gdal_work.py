# SPDX-License-Identifier: Apache-2.0
"""What GDAL's own bindings do for rspipe: a program, run by `gdal_child`, never imported.

It reads one piece of work as JSON from standard input and writes one answer as JSON to standard
output: `{"error": …}` where GDAL refuses. It needs nothing of rspipe, since it must not share a
process with anything that maps another libgdal.
"""

import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from osgeo import gdal

_GTIFF = ["TILED=YES", "COMPRESS=DEFLATE", "INTERLEAVE=BAND", "BIGTIFF=IF_SAFER"]
_STRIP_ROWS = 256
_NUMPY = {
    gdal.GDT_Byte: "u1",
    gdal.GDT_UInt16: "u2",
    gdal.GDT_Int16: "i2",
    gdal.GDT_UInt32: "u4",
    gdal.GDT_Int32: "i4",
    gdal.GDT_Float32: "f4",
    gdal.GDT_Float64: "f8",
}
# Formats that a GDAL may be built without: first bytes, driver.
_OPTIONAL = ((b"\x0e\x03\x13\x01", "HDF4"), (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"CDF", "netCDF"))


def describe(_: dict[str, Any]) -> dict[str, Any]:
    """Name this GDAL's version and its drivers."""
    drivers = sorted(gdal.GetDriver(i).ShortName for i in range(gdal.GetDriverCount()))
    return {"version": gdal.VersionInfo("RELEASE_NAME"), "drivers": drivers}


def combine(work: dict[str, Any]) -> dict[str, Any]:
    """Mosaic or stack rasters into a VRT, or into a GeoTIFF where the files will not stay."""
    for file in work["files"]:
        if gdal.Open(file).GetGeoTransform(can_return_null=True) is None:
            raise RuntimeError(f"{file} has no georeference: there is no telling where it belongs")
    options = gdal.BuildVRTOptions(
        separate=work["separate"],
        resolution="highest",
        srcNodata=work["nodata"],
        VRTNodata=work["nodata"],
        strict=True,
    )
    virtual = work["virtual"]
    made = gdal.BuildVRT(work["target"] if virtual else "", work["files"], options=options)
    if made is not None and not virtual:
        made = gdal.Translate(work["target"], made, format="GTiff", creationOptions=_GTIFF)
    if made is None:
        raise RuntimeError(gdal.GetLastErrorMsg() or "nothing was made")
    made.FlushCache()
    return {}


def extract(work: dict[str, Any]) -> dict[str, Any]:
    """Write sub-datasets of a container as the bands of one GeoTIFF, on the finest of their grids.

    What lies outside the valid range becomes no data, so that it takes no part in a stretch.
    """
    container = _open(work["file"])
    sources = _sources(container, work["names"])
    bands = [source.GetRasterBand(1) for source in sources]
    nodata = bands[0].GetNoDataValue() if work["nodata"] is None else work["nodata"]
    if nodata is None and work["valid_range"] is not None:
        raise RuntimeError("a valid range needs a no-data value, and the container states none")
    target = _create(work["target"], sources, _common_type(bands))
    acquired = container.GetMetadataItem("RANGEBEGINNINGDATE")
    if acquired:
        target.SetMetadataItem("ACQUIRED", acquired)
    for index, band in enumerate(bands, start=1):
        out = target.GetRasterBand(index)
        if nodata is not None:
            out.SetNoDataValue(nodata)
        for row, values in _strips(band, target):
            _blank(values, band.GetNoDataValue(), work["valid_range"], nodata)
            rows, columns = values.shape
            out.WriteRaster(0, row, columns, rows, values.tobytes(), buf_type=out.DataType)
    target.FlushCache()
    return {}


def _sources(container: Any, names: list[str]) -> list[Any]:
    """Open the sub-datasets of these names: one band each, on grids that fit each other."""
    sources = [gdal.Open(full) for full in _names_of(container, names)]
    finest = _finest(sources)
    for name, source in zip(names, sources, strict=True):
        if source.RasterCount != 1:
            raise RuntimeError(f"sub-dataset {name!r} has {source.RasterCount} bands, not one")
        _check_grid(name, source, finest)
    return sources


def _finest(sources: list[Any]) -> Any:
    return max(sources, key=lambda source: source.RasterXSize)


def _create(path: str, sources: list[Any], kind: int) -> Any:
    """Create the GeoTIFF on the grid of the finest source."""
    finest = _finest(sources)
    size = finest.RasterXSize, finest.RasterYSize
    target = gdal.GetDriverByName("GTiff").Create(path, *size, len(sources), kind, options=_GTIFF)
    if finest.GetGeoTransform(can_return_null=True) is not None:
        target.SetGeoTransform(finest.GetGeoTransform())
        target.SetProjection(finest.GetProjection())
    return target


def _open(file: str) -> Any:
    with open(file, "rb") as stream:  # noqa: PTH123 - a name as GDAL takes it
        head = stream.read(8)
    needed = next((driver for magic, driver in _OPTIONAL if head.startswith(magic)), None)
    if needed is not None and gdal.GetDriverByName(needed) is None:
        raise RuntimeError(f"this GDAL is built without {needed}; see `rspipe doctor`")
    return gdal.Open(file)


def _names_of(container: Any, wanted: list[str]) -> list[str]:
    """Full names of sub-datasets; a wanted name is the last part of one, or ends that part."""
    short = {full: _short_name(full, described) for full, described in container.GetSubDatasets()}
    found = []
    for name in (name.strip("/") for name in wanted):
        fitting = [full for full, own in short.items() if own == name]
        fitting = fitting or [full for full, own in short.items() if own.endswith(f"/{name}")]
        if len(fitting) != 1:
            there = ", ".join(short[full] for full in fitting or short) or "none at all"
            how_many = "several sub-datasets" if fitting else "no sub-dataset"
            raise RuntimeError(f"{how_many} {name!r}; there are: {there}")
        found.append(fitting[0])
    return found


def _short_name(full: str, described: str) -> str:
    """Last part of a sub-dataset's name; a plain HDF4 data set has its name in its description.

    HDF4_EOS:EOS_GRID:"file":grid:band, HDF5:"file"://group/band, HDF4_SDS:UNKNOWN:"file":7 with
    `[24x24] band (16-bit integer)`.
    """
    last = full.rsplit(":", 1)[-1].strip("/")
    return described.partition("] ")[2].rpartition(" (")[0] if last.isdigit() else last


def _check_grid(name: str, source: Any, finest: Any) -> None:
    """Refuse a grid that is not the finest one, or one that it divides evenly."""
    sizes = (source.RasterXSize, source.RasterYSize), (finest.RasterXSize, finest.RasterYSize)
    (width, height), (most_width, most_height) = sizes
    if most_width % width or most_height % height or most_width // width != most_height // height:
        raise RuntimeError(
            f"sub-dataset {name!r} has {height}x{width} px, which does not divide "
            f"{most_height}x{most_width}"
        )
    ours = source.GetGeoTransform(can_return_null=True)
    theirs = finest.GetGeoTransform(can_return_null=True)
    if ours is None or theirs is None:
        return
    half_pixel = abs(theirs[1]) / 2
    if abs(ours[0] - theirs[0]) > half_pixel or abs(ours[3] - theirs[3]) > half_pixel:
        raise RuntimeError(
            f"sub-dataset {name!r} lies at {ours[0]}, {ours[3]}, not where others do"
        )


def _common_type(bands: list[Any]) -> int:
    common = bands[0].DataType
    for band in bands[1:]:
        common = gdal.DataTypeUnion(common, band.DataType)
    if common not in _NUMPY:
        raise RuntimeError(f"pixels of type {gdal.GetDataTypeName(common)} cannot be shown")
    return int(common)


def _strips(band: Any, target: Any) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    """Rows of a band on the target's grid, coarse pixels repeated: first row, values (h, W)."""
    kind, factor = target.GetRasterBand(1).DataType, target.RasterXSize // band.XSize
    rows = math.ceil(_STRIP_ROWS / factor)
    for row in range(0, band.YSize, rows):
        count = min(rows, band.YSize - row)
        raw = band.ReadRaster(0, row, band.XSize, count, buf_type=kind)
        values = np.frombuffer(raw, _NUMPY[kind]).reshape(count, band.XSize)
        yield row * factor, values.repeat(factor, axis=0).repeat(factor, axis=1)


def _blank(
    values: np.ndarray[Any, Any],
    fill: float | None,
    valid_range: list[float] | None,
    nodata: float | None,
) -> None:
    """Set what is no measurement to the no-data value, in place."""
    if nodata is None:
        return
    if fill is not None:
        values[values == fill] = nodata
    if valid_range is not None:
        values[(values < valid_range[0]) | (values > valid_range[1])] = nodata


def _die_with(parent: int) -> None:
    """End this process once its parent has gone: a killed run leaves nobody behind."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Do one piece of work."""
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    gdal.UseExceptions()
    # Sources may lie in folders that are not ours: no statistics files beside them.
    gdal.SetConfigOption("GDAL_PAM_ENABLED", "NO")
    work = json.load(sys.stdin)
    verbs = {"describe": describe, "combine": combine, "extract": extract}
    try:
        answer = verbs[work["verb"]](work)
    except RuntimeError as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
