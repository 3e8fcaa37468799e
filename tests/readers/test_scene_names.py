# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.readers.scene_names import parse_name


@pytest.mark.parametrize(
    ("name", "acquired", "sensor", "band"),
    [
        ("T32TQM_20200101T101021_B8A_20m.jp2", "2020-01-01T10:10:21Z", "Sentinel-2", "B8A"),
        (
            "2023-07-30-00:00_2023-07-30-23:59_Sentinel-2_L2A_B02_(Raw).tiff",
            "2023-07-30",
            "Sentinel-2",
            "B02",
        ),
        (
            "LC09_L1TP_008067_20220101_20220122_02_T1_B10.TIF",
            "2022-01-01",
            "Landsat 9 OLI-2",
            "B10",
        ),
        (
            "LC08_L2SP_008067_20200101_20200823_02_T1_QA_PIXEL.TIF",
            "2020-01-01",
            "Landsat 8 OLI",
            "QA_PIXEL",
        ),
        ("LT50080671985196AAA03_B1.TIF", "1985-07-15", "Landsat 5 TM", "B1"),
        ("HLS.S30.T10TET.2020034T185911.v2.0.B04.tif", "2020-02-03", "Sentinel-2 (HLS)", "B04"),
        ("TERRA_MODIS_012010_NDVI_2013-09-14.jp2", "2013-09-14", "Terra MODIS", "NDVI"),
        ("20200102_101112_1003_3B_AnalyticMS.tif", "2020-01-02T10:11:12Z", "PlanetScope", None),
        ("m_4709963_se_14_1_20090818.tif", "2009-08-18", "NAIP aerial camera", None),
    ],
)
def test_documented_names_say_when_by_what_and_which_band(name, acquired, sensor, band):
    found = parse_name(f"some/folder/{name}")
    assert (found.acquired, found.sensor, found.band) == (acquired, sensor, band)


def test_the_scene_is_the_name_without_its_band():
    names = [f"T32TQM_20200101T101021_{band}.jp2" for band in ("B02", "B03", "B11")]
    assert len({parse_name(name).scene for name in names}) == 1


@pytest.mark.parametrize(
    ("name", "sensor"),
    [
        ("T32TQM_20201301T101021_B02.jp2", "Sentinel-2"),
        ("m_4709963_se_14_1_20090230.tif", "NAIP aerial camera"),
    ],
)
def test_an_impossible_date_is_no_date(name, sensor):
    assert (parse_name(name).acquired, parse_name(name).sensor) == (None, sensor)


@pytest.mark.parametrize(
    "name",
    ["20200101.tif", "scene_band1.tif", "LC08.tif", "x_T32TQM_20200101T101021_B02.jp2", "B04.tif"],
)
def test_other_names_say_nothing(name):
    assert parse_name(name) is None
