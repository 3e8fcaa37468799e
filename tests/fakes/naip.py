# SPDX-License-Identifier: Apache-2.0
"""NAIP and plain scenes: dates where the producer's names hold one, companions beside them."""

from tests.fakes import Expected, write_files


def write(root):
    sensor = "NAIP aerial camera"
    images = {
        "nd/m_4709963_se_14_1_20090818.tif": {"acquired": "2009-08-18", "sensor": sensor},
        "nd/m_3807708_sw_18_060_20181027_20190209.tif": {
            "acquired": "2018-10-27",
            "sensor": sensor,
        },
        # No such day, and a name that is nobody's: no date is guessed.
        "nd/m_4709963_se_14_1_20091388.tif": {"sensor": sensor},
        "holiday_20200101.tif": {},
        "dem.tif": {},
    }
    sidecars = {
        "nd/m_4709963_se_14_1_20090818.tfw",
        "nd/m_4709963_se_14_1_20090818.tif.aux.xml",
        "nd/m_4709963_se_14_1_20090818.tif.ovr",
        "footprints.geojson",
    }
    write_files(root, dict.fromkeys([*images, *sidecars], b""))
    return Expected("scenes", images, frozenset(sidecars))
