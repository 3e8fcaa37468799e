"""`osgeo.gdal`, only ever in a spawned child: never beside rasterio's own libgdal."""

import json
import subprocess
import sys
from typing import Any

_DESCRIBE = """
import json
from osgeo import gdal
gdal.UseExceptions()
drivers = sorted(gdal.GetDriver(i).ShortName for i in range(gdal.GetDriverCount()))
print(json.dumps({"version": gdal.VersionInfo("RELEASE_NAME"), "drivers": drivers}))
"""


def describe() -> dict[str, Any] | None:
    """Return version and drivers of the system's GDAL, or None where its bindings are missing."""
    child = subprocess.run(
        [sys.executable, "-c", _DESCRIBE], capture_output=True, text=True, check=False
    )
    if child.returncode != 0:
        return None
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found
