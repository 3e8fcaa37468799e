# SPDX-License-Identifier: Apache-2.0
"""Landsat: one file per band; red, green and blue have other numbers on older satellites."""

from rspipe.schema import Derivation
from tests.fakes import Expected, write_files


def write(root):
    images, sidecars = {}, set()
    for stem, bands, extra, date, sensor in (
        (
            "LC08_L1TP_008067_20200101_20200113_01_T1",
            ("B4", "B3", "B2"),
            ("B5", "B10", "BQA"),
            "2020-01-01",
            "Landsat 8 OLI",
        ),
        (
            "LT05_L2SP_008067_19850715_20200918_02_T1_SR",
            ("B3", "B2", "B1"),
            ("B4",),
            "1985-07-15",
            "Landsat 5 TM",
        ),
        ("LE70080672000060EDC00", ("B3", "B2", "B1"), (), "2000-02-29", "Landsat 7 ETM+"),
    ):
        members = tuple(f"{stem}_{band}.TIF" for band in bands)
        images[f"{stem}_{''.join(bands)}.TIF"] = {
            "acquired": date,
            "sensor": sensor,
            "derivation": Derivation(
                kind="stack", members=members, bands=("red", "green", "blue"), nodata=0
            ),
        }
        sidecars |= {*members, *(f"{stem}_{band}.TIF" for band in extra)}
    sidecars.add("LC08_L1TP_008067_20200101_20200113_01_T1_MTL.xml")
    sidecars.add("LC08_L1TP_008067_20200101_20200113_01_T1_thumb_small.jpeg")
    write_files(root, dict.fromkeys(sidecars, b""))
    return Expected("scenes", images, frozenset(sidecars))
