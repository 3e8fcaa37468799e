# SPDX-License-Identifier: Apache-2.0
"""`osgeo.gdal`, only ever in a child process: never beside rasterio's own libgdal.

The child runs `gdal_work.py`; work and answer are JSON, products are files that are written under
another name and renamed, so a product is there whole or not at all.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rspipe.errors import UnreadableImage

TIMEOUT_S = 900
_PROGRAM = Path(__file__).with_name("gdal_work.py")
_LONGEST_REASON = 300
_NO_BINDINGS = "it needs GDAL's own Python bindings, which are missing here; see `rspipe doctor`"


def describe() -> dict[str, Any] | None:
    """Return version and drivers of the system's GDAL, or None where its bindings are missing."""
    try:
        return _ask({"verb": "describe"}, TIMEOUT_S)
    except _Refused:
        return None


def combine(
    files: Mapping[str, Path],
    target: Path,
    name: str,
    *,
    separate: bool,
    virtual: bool,
    nodata: float | None,
) -> None:
    """Mosaic georeferenced rasters, or stack single bands.

    Args:
        files: rasters of one CRS and data type, by the names that the ledger gives them.
        target: the .vrt or .tif to write.
        name: the image as the ledger names it.
        separate: stack (one band per file) instead of mosaic.
        virtual: write a VRT, which reads the files; else a GeoTIFF, which holds their pixels.
        nodata: fill value, where the files do not carry it.

    Raises:
        UnreadableImage: GDAL refuses (other CRS, broken file), or its bindings are missing.
    """
    work = {
        "verb": "combine",
        "files": [str(file) for file in files.values()],
        "separate": separate,
        "virtual": virtual,
        "nodata": nodata,
    }
    _make(work, target, name, {str(file): member for member, file in files.items()})


def extract(
    file: Path,
    names: Sequence[str],
    target: Path,
    name: str,
    *,
    nodata: float | None,
    valid_range: tuple[float, float] | None,
) -> None:
    """Write some sub-datasets of an HDF or netCDF container as the bands of one GeoTIFF.

    A coarser sub-dataset is repeated onto the grid of the finest one. The GeoTIFF has the tag
    ACQUIRED where the container states its first date.

    Args:
        file: the container.
        names: the last part of each sub-dataset's name, in band order.
        target: the .tif to write.
        name: the image as the ledger names it.
        nodata: fill value, where the container does not carry it.
        valid_range: smallest and largest raw value that is a measurement; others become no data.

    Raises:
        UnreadableImage: no such sub-dataset, a broken container, a GDAL without its driver, or
            missing bindings.
    """
    work = {
        "verb": "extract",
        "file": str(file),
        "names": list(names),
        "nodata": nodata,
        "valid_range": valid_range,
    }
    _make(work, target, name, {str(file): name})


def _make(work: dict[str, Any], target: Path, name: str, local_names: Mapping[str, str]) -> None:
    # Two workers may want one product at the same time: each writes its own, the bytes are equal.
    partial = target.with_name(f".{uuid.uuid4().hex}-{target.name}")
    try:
        _ask(work | {"target": str(partial)}, TIMEOUT_S)
        partial.replace(target)
    except _Refused as refusal:
        reason = str(refusal)
        # The ledger must read the same on every machine: no folder of this one.
        for local, member in {str(partial): name, **local_names}.items():
            reason = reason.replace(local, member)
        raise UnreadableImage(name, reason[:_LONGEST_REASON]) from refusal
    except FileNotFoundError as error:
        raise UnreadableImage(name, "GDAL made nothing, and says nothing") from error
    finally:
        partial.unlink(missing_ok=True)


class _Refused(Exception):
    """The child did not do its work; the message says why."""


def _ask(work: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    # -P: the program's folder has modules of its own, which must not shadow others.
    command = [sys.executable, "-P", str(_PROGRAM)]
    try:
        child = subprocess.run(
            command,
            input=json.dumps(work),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise _Refused(f"GDAL took more than {timeout_s:g} s") from error
    if child.returncode != 0:
        raise _Refused(_why(child.returncode, child.stderr))
    answer: dict[str, Any] = json.loads(child.stdout)
    if "error" in answer:
        raise _Refused(f"GDAL: {answer['error']}")
    return answer


def _why(code: int, stderr: str) -> str:
    if "No module named 'osgeo'" in stderr:
        return _NO_BINDINGS
    if code < 0:
        return f"GDAL crashed (signal {-code})"
    lines = stderr.strip().splitlines() or [f"it ended with code {code}"]
    return f"GDAL: {lines[-1]}"
