# SPDX-License-Identifier: Apache-2.0
"""`rspipe doctor`: what is installed, what is missing, and the command that mends it."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rspipe
from rspipe.errors import RecipeError
from rspipe.extras import extras, parts_of
from rspipe.io import gdal_child
from rspipe.plugins import FAMILIES, installed
from rspipe.recipe import nearest_name

_GDAL = "gdal"
"""The extra that is looked at with its library, not as a package."""
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

_LOST_WITHOUT_GDAL = "HDF4 (MODIS) and VRT mosaics will not be read"

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
    is_optional: bool = False
    """Most things work without it."""


def examine(extra: str | None = None) -> list[Finding]:
    """Look at Python, the packages, both GDAL libraries, and the GPU.

    Args:
        extra: look only at what that one needs, and miss it where it is not installed. None: at
            all extras; one that is not installed at all is optional.

    Raises:
        RecipeError: there is no such extra.
    """
    known = extras()
    if extra is not None and extra not in known:
        raise RecipeError(f"--extra {extra}: no such extra{nearest_name(extra, known)}")
    asked = known if extra is None else parts_of(extra)
    findings = [
        Finding("rspipe", rspipe.__version__),
        Finding("python", f"{platform.python_version()} on {platform.platform()}"),
        Finding("cores", str(os.cpu_count())),
    ]
    for name in asked:
        if name != _GDAL:
            findings += _examine_packages(name, known[name], is_optional=extra is None)
    findings += examine_plugins()
    if "curate" in asked and _version_of("rasterio") is not None:
        findings.append(_examine_rasterio())
    if extra == _GDAL or ("curate" in asked and _version_of("rasterio") is not None):
        findings += _examine_gdal()
    if "train" in asked:
        findings += _examine_torch()
    return findings


def examine_plugins() -> list[Finding]:
    """Name the readers and objectives of other packages, without importing them."""
    return [
        Finding(f"{family}: {name}", f"plug-in of {package}")
        for family in FAMILIES
        for name, package in installed(family)
    ]


def _examine_packages(extra: str, packages: Sequence[str], *, is_optional: bool) -> list[Finding]:
    versions = {name: _version_of(name) for name in packages}
    remedy = f"pip install 'rspipe[{extra}]'"
    if is_optional and not any(versions.values()):
        return [Finding(extra, "not installed", remedy, is_optional=True)]
    return [
        Finding(f"{extra}: {name}", version or "missing", None if version else remedy)
        for name, version in versions.items()
    ]


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


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
        return [Finding("system GDAL", f"missing: {_LOST_WITHOUT_GDAL}", remedy, is_optional=True)]
    version = subprocess.run([config, "--version"], capture_output=True, text=True, check=True)
    library = version.stdout.strip()
    bindings: dict[str, Any] | None = gdal_child.describe()
    if bindings is None:
        remedy = (
            f"pip install --no-build-isolation 'gdal[numpy]=={library}.*' (needs a C++ compiler)"
        )
        lack = f"{library}, but its Python bindings are missing: {_LOST_WITHOUT_GDAL}"
        return [Finding("system GDAL", lack, remedy, is_optional=True)]
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
