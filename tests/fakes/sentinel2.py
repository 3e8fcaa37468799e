# SPDX-License-Identifier: Apache-2.0
"""Sentinel-2: bands at several ground sizes, a rendering, quality masks; one incomplete."""

from rspipe.schema import Derivation
from tests.fakes import Expected, write_files


def _stack(folder, names):
    members = tuple(f"{folder}/{name}" for name in names)
    return Derivation(kind="stack", members=members, bands=("red", "green", "blue"), nodata=0)


def write(root):
    granule = "S2B_MSIL2A_20200101T101021_N0500.SAFE/GRANULE/L2A_T32TQM"
    stem = "T32TQM_20200101T101021"
    sidecars = {
        *(
            f"{granule}/IMG_DATA/R10m/{stem}_{b}_10m.jp2"
            for b in ("B02", "B03", "B04", "B08", "TCI")
        ),
        *(
            f"{granule}/IMG_DATA/R20m/{stem}_{b}_20m.jp2"
            for b in ("B02", "B03", "B04", "SCL", "TCI")
        ),
        f"{granule}/QI_DATA/MSK_CLDPRB_20m.jp2",
        f"{granule}/MTD_TL.xml",
        # A red band alone is no picture, and no grey one either.
        "other/T33UUP_20190630T100031_B04.jp2",
    }
    r10m = f"{granule}/IMG_DATA/R10m"
    images = {
        f"{r10m}/{stem}_B04B03B02_10m.jp2": {
            "acquired": "2020-01-01T10:10:21Z",
            "sensor": "Sentinel-2",
            "derivation": _stack(r10m, [f"{stem}_{b}_10m.jp2" for b in ("B04", "B03", "B02")]),
        },
        # A rendering whose bands are not here is a picture.
        "other/T31TCJ_20180103T105431_TCI.jp2": {
            "acquired": "2018-01-03T10:54:31Z",
            "sensor": "Sentinel-2",
        },
    }
    write_files(root, dict.fromkeys([*sidecars, "other/T31TCJ_20180103T105431_TCI.jp2"], b""))
    return Expected("scenes", images, frozenset(sidecars))
