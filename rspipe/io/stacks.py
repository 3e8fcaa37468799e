# SPDX-License-Identifier: Apache-2.0
"""Single bands of one grid as one raster, without GDAL's own bindings.

Patch sets have hundreds of thousands of such stacks, and a VRT is XML that one can write: no child
process is needed for it.
"""

import uuid
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from rspipe.errors import UnreadableImage

_GDAL_TYPES = {
    "uint8": "Byte",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}


def stack(files: Mapping[str, Path], target: Path, *, virtual: bool, nodata: float | None) -> bool:
    """Write files of one band as the bands of one raster, if all lie on one grid.

    Args:
        files: single-band rasters by the names that the ledger gives them, in band order.
        target: the .vrt or .tif to write, whole or not at all.
        virtual: write a VRT, which reads the files; else a GeoTIFF, which holds their pixels.
        nodata: fill value, where the files do not carry it.

    Returns:
        Whether it was done: False where georeferenced files have several grids.

    Raises:
        UnreadableImage: a file is broken, has several bands or a type that cannot be shown, or
            lies, without georeference, on another grid than the others.
    """
    partial = target.with_name(f".{uuid.uuid4().hex}-{target.name}")
    try:
        with ExitStack() as opened, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            bands = {name: opened.enter_context(_open(name, file)) for name, file in files.items()}
            if not _one_grid(bands):
                return False
            if virtual:
                partial.write_text(_vrt(bands, nodata))
            else:
                _write_tiff(bands, partial, nodata)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return True


def _open(name: str, file: Path) -> DatasetReader:
    try:
        dataset = rasterio.open(file)
    except RasterioError as error:
        why = str(error).replace(str(file), name)
        raise UnreadableImage(name, f"the header cannot be parsed: {why}") from error
    if dataset.count == 1 and dataset.dtypes[0] in _GDAL_TYPES:
        return dataset
    dataset.close()
    if dataset.count != 1:
        raise UnreadableImage(name, f"{dataset.count} bands, where a stack takes files of one")
    raise UnreadableImage(name, f"pixels of type {dataset.dtypes[0]} cannot be shown")


def _one_grid(bands: Mapping[str, DatasetReader]) -> bool:
    first = next(iter(bands.values()))
    grid = (first.shape, first.transform, first.crs)
    odd = [name for name, b in bands.items() if (b.shape, b.transform, b.crs) != grid]
    if odd and all(band.crs is None for band in bands.values()):
        sizes = sorted({"x".join(map(str, band.shape)) for band in bands.values()})
        raise UnreadableImage(
            odd[0], f"bands without georeference have several grids: {' and '.join(sizes)} px"
        )
    return not odd


def _vrt(bands: Mapping[str, DatasetReader], nodata: float | None) -> str:
    first = next(iter(bands.values()))
    lines = [f'<VRTDataset rasterXSize="{first.width}" rasterYSize="{first.height}">']
    if first.crs is not None:
        lines.append(f"<SRS>{escape(first.crs.to_wkt())}</SRS>")
        numbers = ", ".join(map(repr, first.transform.to_gdal()))
        lines.append(f"<GeoTransform>{numbers}</GeoTransform>")
    for index, dataset in enumerate(bands.values(), start=1):
        fill = dataset.nodata if nodata is None else nodata
        lines.append(f'<VRTRasterBand dataType="{_GDAL_TYPES[dataset.dtypes[0]]}" band="{index}">')
        lines += [] if fill is None else [f"<NoDataValue>{fill!r}</NoDataValue>"]
        lines.append(
            f'<SimpleSource><SourceFilename relativeToVRT="0">{escape(dataset.name)}'
            "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        )
    return "\n".join([*lines, "</VRTDataset>\n"])


def _write_tiff(bands: Mapping[str, DatasetReader], target: Path, nodata: float | None) -> None:
    first = next(iter(bands.values()))
    with rasterio.open(
        target,
        "w",
        driver="GTiff",
        width=first.width,
        height=first.height,
        count=len(bands),
        dtype=np.result_type(*(band.dtypes[0] for band in bands.values())),
        crs=first.crs,
        transform=first.transform,
        nodata=first.nodata if nodata is None else nodata,
        tiled=True,
        compress="deflate",
        interleave="band",
        bigtiff="if_safer",
    ) as out:
        for index, (name, dataset) in enumerate(bands.items(), start=1):
            for _, window in out.block_windows(index):
                try:
                    out.write(dataset.read(1, window=window), index, window=window)
                except RasterioError as error:
                    why = str(error.__cause__ or error)
                    raise UnreadableImage(name, f"pixels cannot be decoded: {why}") from error
