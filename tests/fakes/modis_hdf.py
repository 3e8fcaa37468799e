# SPDX-License-Identifier: Apache-2.0
"""MODIS HDF4 containers: one picture each, where the product has red, green and blue."""

from rspipe.schema import Derivation
from tests.fakes import Expected, write_files

_HDF4 = b"\x0e\x03\x13\x01"


def _derivation(path, names, nodata, low, high):
    return Derivation(
        kind="subdatasets",
        members=(path, *names),
        bands=("red", "green", "blue"),
        nodata=nodata,
        valid_range=(low, high),
        scale=0.0001,
        offset=0.0,
        unit="reflectance",
    )


def write(root):
    daily = "2008/MOD09GA.A2008296.h14v17.006.2015181011753.hdf"
    nadir = "MCD43A4.A2020366.h08v05.061.2021010000000.hdf"
    files = {daily: _HDF4, nadir: _HDF4, f"{daily}.xml": "<x/>"}
    # Red and near infrared only: it makes no picture, and the reader says nothing of it.
    files["MOD09GQ.A2008296.h14v17.006.2015181011753.hdf"] = _HDF4
    write_files(root, files)
    images = {
        daily: {
            "acquired": "2008-10-22",
            "sensor": "Terra MODIS",
            "derivation": _derivation(
                daily,
                ("sur_refl_b01_1", "sur_refl_b04_1", "sur_refl_b03_1"),
                *(-28672.0, -100.0, 16000.0),
            ),
        },
        nadir: {
            "acquired": "2020-12-31",
            "sensor": "Terra and Aqua MODIS",
            "derivation": _derivation(
                nadir,
                tuple(f"Nadir_Reflectance_Band{band}" for band in (1, 4, 3)),
                *(32767.0, 0.0, 32766.0),
            ),
        },
    }
    return Expected("modis_hdf", images, frozenset({f"{daily}.xml"}))
