"""`osgeo.gdal`, only ever in a spawned child: never beside rasterio's own libgdal.

The child gets its work as JSON on standard input and answers in files and JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rspipe.errors import UnreadableImage

_DESCRIBE = """
import json
from osgeo import gdal
gdal.UseExceptions()
drivers = sorted(gdal.GetDriver(i).ShortName for i in range(gdal.GetDriverCount()))
print(json.dumps({"version": gdal.VersionInfo("RELEASE_NAME"), "drivers": drivers}))
"""

_BUILD_VRT = """
import json, sys
from osgeo import gdal
gdal.UseExceptions()
work = json.load(sys.stdin)
options = gdal.BuildVRTOptions(
    separate=work["separate"], srcNodata=work["nodata"], VRTNodata=work["nodata"], strict=True
)
made = gdal.BuildVRT(work["target"], work["files"], options=options)
if made is None:
    raise RuntimeError(gdal.GetLastErrorMsg() or "no mosaic was made")
made.FlushCache()
"""

_EXTRACT = """
import json, sys
from osgeo import gdal
gdal.UseExceptions()
work = json.load(sys.stdin)
container = gdal.Open(work["file"])
found = {name.rsplit(":", 1)[-1]: name for name, _ in container.GetSubDatasets()}
missing = [name for name in work["names"] if name not in found]
if missing:
    raise RuntimeError(f"no sub-dataset {missing[0]!r}; there are: {', '.join(sorted(found))}")
files = [found[name] for name in work["names"]]
stack = gdal.BuildVRT("", files, options=gdal.BuildVRTOptions(separate=True, strict=True))
options = {"format": "GTiff", "creationOptions": ["TILED=YES", "COMPRESS=DEFLATE"]}
if work["nodata"] is not None:
    options["noData"] = work["nodata"]
gdal.Translate(work["target"], stack, **options)
"""

_TIMEOUT_S = 600


def describe() -> dict[str, Any] | None:
    """Return version and drivers of the system's GDAL, or None where its bindings are missing."""
    child = subprocess.run(
        [sys.executable, "-c", _DESCRIBE], capture_output=True, text=True, check=False
    )
    if child.returncode != 0:
        return None
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found


def build_vrt(
    files: Sequence[Path], target: Path, name: str, separate: bool, nodata: float | None
) -> None:
    """Mosaic georeferenced rasters, or stack single bands, into a virtual raster.

    Args:
        files: rasters of one CRS and data type.
        target: the .vrt to write, whole or not at all.
        name: the image as the ledger names it.
        separate: stack (one band per file) instead of mosaic.
        nodata: fill value, where the files do not carry it.

    Raises:
        UnreadableImage: GDAL refuses (other CRS, missing file), or its bindings are missing.
    """
    work = {"files": [str(f) for f in files], "separate": separate, "nodata": nodata}
    _run(_BUILD_VRT, work, target, name)


def extract_subdatasets(
    file: Path, names: Sequence[str], target: Path, name: str, nodata: float | None
) -> None:
    """Write some sub-datasets of an HDF container as the bands of one GeoTIFF.

    Args:
        file: the container.
        names: the last part of each sub-dataset's name, in band order.
        target: the .tif to write, whole or not at all.
        name: the image as the ledger names it.
        nodata: fill value, where the container does not carry it.

    Raises:
        UnreadableImage: no such sub-dataset, a broken container, or missing bindings.
    """
    work = {"file": str(file), "names": list(names), "nodata": nodata}
    _run(_EXTRACT, work, target, name)


def _run(script: str, work: dict[str, Any], target: Path, name: str) -> None:
    partial = target.with_name(f".{os.getpid()}-{target.name}")
    text = json.dumps(work | {"target": str(partial)})
    try:
        child = subprocess.run(
            [sys.executable, "-c", script],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        if child.returncode != 0:
            raise UnreadableImage(name, _why(child.stderr))
        partial.replace(target)
    except subprocess.TimeoutExpired as error:
        raise UnreadableImage(name, f"GDAL took more than {_TIMEOUT_S} s") from error
    finally:
        partial.unlink(missing_ok=True)


def _why(stderr: str) -> str:
    if "No module named 'osgeo'" in stderr:
        return "it needs GDAL's own library, which is missing here; see `rspipe doctor`"
    lines = stderr.strip().splitlines() or ["the child process died"]
    return f"GDAL: {lines[-1].partition(': ')[2] or lines[-1]}"
