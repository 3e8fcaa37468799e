"""`rspipe doctor`: what is installed, what is missing, and the command that mends it."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import rspipe
from rspipe.io import gdal_child

_PACKAGES = {
    "curate": ("dask", "distributed", "bokeh", "rasterio", "imagehash", "scipy"),
    "train": ("torch", "torchvision", "timm", "safetensors", "tensorboard", "jaxtyping"),
    "eval": ("scikit-learn", "torchmetrics", "pycocotools"),
    "demo": ("basemap-data",),
}
_NOTABLE_DRIVERS = (
    "GTiff",
    "COG",
    "JP2OpenJPEG",
    "HDF4",
    "HDF5",
    "netCDF",
    "VRT",
    "Zarr",
    "WEBP",
)

_DESCRIBE_RASTERIO = """
import json, rasterio
with rasterio.Env() as env:
    print(json.dumps([rasterio.__gdal_version__, sorted(env.drivers())]))
"""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report."""

    name: str
    value: str
    remedy: str | None = None
    """What to do; null where all is well."""


def examine() -> list[Finding]:
    """Look at Python, the packages, both GDAL libraries, and the GPU."""
    return [
        Finding("rspipe", rspipe.__version__),
        Finding("python", f"{platform.python_version()} on {platform.platform()}"),
        Finding("cores", str(os.cpu_count())),
        *_examine_packages(),
        _examine_rasterio(),
        *_examine_gdal(),
        *_examine_torch(),
    ]


def _examine_packages() -> list[Finding]:
    findings = []
    for extra, names in _PACKAGES.items():
        for name in names:
            try:
                findings.append(Finding(f"{extra}: {name}", importlib.metadata.version(name)))
            except importlib.metadata.PackageNotFoundError:
                remedy = f"pip install 'rspipe[{extra}]'"
                findings.append(Finding(f"{extra}: {name}", "missing", remedy))
    return findings


def _examine_rasterio() -> Finding:
    """Ask in a child, so that the doctor itself never maps a libgdal."""
    command = [sys.executable, "-c", _DESCRIBE_RASTERIO]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode != 0:
        return Finding("rasterio's GDAL", "missing", "pip install 'rspipe[curate]'")
    version, drivers = json.loads(child.stdout)
    return Finding("rasterio's GDAL", _describe_drivers(version, drivers))


def _examine_gdal() -> list[Finding]:
    config = shutil.which("gdal-config")
    if config is None:
        remedy = "apt-get install libgdal-dev (Debian, Ubuntu), then `make setup`"
        return [
            Finding("system GDAL", "missing: HDF4 (MODIS) and VRT mosaics will not be read", remedy)
        ]
    version = subprocess.run([config, "--version"], capture_output=True, text=True, check=True)
    library = version.stdout.strip()
    bindings: dict[str, Any] | None = gdal_child.describe()
    if bindings is None:
        remedy = (
            f"pip install --no-build-isolation 'gdal[numpy]=={library}.*' (needs a C++ compiler)"
        )
        return [Finding("system GDAL", f"{library}, but its Python bindings are missing", remedy)]
    found = [Finding("system GDAL", _describe_drivers(bindings["version"], bindings["drivers"]))]
    if bindings["version"] != library:
        remedy = f"pip install --no-build-isolation 'gdal[numpy]=={library}.*'"
        found.append(Finding("GDAL bindings", f"{bindings['version']} ≠ library {library}", remedy))
    return found


def _describe_drivers(version: str, drivers: list[str]) -> str:
    notable = [name if name in drivers else f"no {name}" for name in _NOTABLE_DRIVERS]
    return f"{version}, {len(drivers)} drivers ({', '.join(notable)})"


def _examine_torch() -> list[Finding]:
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    if torch.cuda.is_available():
        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return [Finding("GPU", ", ".join(gpus))]
    amx = torch.backends.cpu.get_cpu_capability()
    return [Finding("GPU", f"none; the CPU has {amx}")]
