# SPDX-License-Identifier: Apache-2.0
"""What the names of well-known scenes say: date, sensor, and which band a file holds.

Only names that their producers document are read; a date in any other name is not guessed at.
Sources: Sentinel-2 Products Specification Document (compact naming), Landsat Collection 2 Level-1
and Level-2 product guides and the scene ids before them, HLS User Guide 2.0, the file names of the
NAIP quarter quads (USDA), of Sentinel Hub's browser downloads and of the R package sits.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class SceneName:
    """What a file's name says."""

    sensor: str
    acquired: str | None = None
    """ISO 8601, a date or a time in UTC; null where the name holds no possible date."""
    band: str | None = None
    """The band, or another product, that the file holds one of; null for a whole scene."""
    scene: str | None = None
    """The name with {} in the band's place: files of one scene have it in common."""
    rgb: tuple[str, str, str] | None = None
    """What the bands red, green and blue of this sensor are called."""
    resolution_m: int | None = None
    """Where a scene holds the same band at several ground sizes."""
    nodata: float | None = None
    """Fill value that the producer documents and the files do not carry."""


@dataclass(frozen=True, slots=True)
class _Naming:
    """One producer's rule. Groups: date, band, platform, resolution, where the names have them."""

    pattern: re.Pattern[str]
    sensor: Callable[[str], str]
    """From the platform's letters to the sensor."""
    parse_date: Callable[[str], str]
    rgb: Callable[[str], tuple[str, str, str] | None] = lambda _: None
    """From the platform's letters to its bands."""
    nodata: float | None = None


def _day(text: str) -> str:
    return datetime.strptime(text, "%Y%m%d").date().isoformat()


def _iso_day(text: str) -> str:
    return date.fromisoformat(text).isoformat()


def _second(text: str) -> str:
    when = datetime.strptime(text.replace("_", "T"), "%Y%m%dT%H%M%S")
    return f"{when.isoformat()}Z"


def _day_of_year(text: str) -> str:
    first = date(int(text[:4]), 1, 1)
    return (first + timedelta(days=int(text[4:7]) - 1)).isoformat()


_SENTINEL2 = ("B04", "B03", "B02")
_LANDSAT = {"8": "OLI", "9": "OLI-2", "7": "ETM+", "5": "TM", "4": "TM"}


def _landsat(letters: str) -> str:
    """From LC08 or LC8 to the sensor."""
    number = letters[-1]
    return f"Landsat {number} {_LANDSAT[number]}" if number in _LANDSAT else f"Landsat {number}"


def _landsat_rgb(letters: str) -> tuple[str, str, str] | None:
    number = letters[-1]
    if number in "89":
        return ("B4", "B3", "B2")
    return ("B3", "B2", "B1") if number in "457" else None


_NAMINGS = (
    _Naming(  # T32TQM_20200101T101021_B04_10m.jp2, T32TQM_20200101T101021_TCI.jp2
        re.compile(
            r"T\d{2}[A-Z]{3}_(?P<date>\d{8}T\d{6})_(?P<band>[A-Z][A-Z0-9]{2})"
            r"(?:_(?P<resolution>\d+)m)?$"
        ),
        lambda _: "Sentinel-2",
        _second,
        lambda _: _SENTINEL2,
        nodata=0,
    ),
    _Naming(  # 2023-01-08-00_00_2023-01-08-23_59_Sentinel-2_L2A_B04_(Raw).tiff
        re.compile(
            r"(?P<date>\d{4}-\d\d-\d\d)-\d\d[:_]\d\d_\d{4}-\d\d-\d\d-\d\d[:_]\d\d_"
            r"Sentinel-2_L\d[AC]_(?P<band>B[0-9A]{2})_\(Raw\)$"
        ),
        lambda _: "Sentinel-2",
        _iso_day,
        lambda _: _SENTINEL2,
    ),
    _Naming(  # LC08_L1TP_008067_20200101_20200113_01_T1_B4.TIF, …_T1_SR_B4.TIF
        re.compile(
            r"(?P<platform>L[COTEM]0\d)_L\w{3}_\d{6}_(?P<date>\d{8})_\d{8}_\d{2}_\w{2}"
            r"_(?:SR_)?(?P<band>B\d{1,2}|[A-Z][A-Z0-9_]+)$"
        ),
        _landsat,
        _day,
        _landsat_rgb,
        nodata=0,
    ),
    _Naming(  # LC80080672020001LGN00_B4.TIF
        re.compile(
            r"(?P<platform>L[COTEM]\d)\d{6}(?P<date>\d{7})[A-Z]{3}\d\d_(?P<band>B\d{1,2}|[A-Z]\w+)$"
        ),
        _landsat,
        _day_of_year,
        _landsat_rgb,
        nodata=0,
    ),
    _Naming(  # HLS.S30.T10TET.2020034T185911.v2.0.B04.tif
        re.compile(
            r"HLS\.(?P<platform>[LS]30)\.T\d{2}[A-Z]{3}\.(?P<date>\d{7})T\d{6}\.v\d\.\d"
            r"\.(?P<band>\w+)$"
        ),
        lambda letters: "Sentinel-2 (HLS)" if letters == "S30" else "Landsat 8 or 9 OLI (HLS)",
        _day_of_year,
        lambda _: _SENTINEL2,
    ),
    _Naming(  # m_4709963_se_14_1_20090818.tif, m_3807708_sw_18_060_20181027_20190209.tif
        re.compile(r"m_\d{7}_[ns][ew]_\d{1,2}_\w{1,3}_(?P<date>\d{8})(?:_\d{8})?$"),
        lambda _: "NAIP aerial camera",
        _day,
    ),
    _Naming(  # TERRA_MODIS_012010_NDVI_2013-09-14.jp2
        re.compile(
            r"(?P<platform>TERRA|AQUA)_MODIS_\d{6}_(?P<band>[A-Z]\w*)_(?P<date>\d{4}-\d\d-\d\d)$"
        ),
        lambda letters: f"{letters.title()} MODIS",
        _iso_day,
    ),
    _Naming(  # 20200101_101010_1003_3B_AnalyticMS.tif
        re.compile(r"(?P<date>\d{8}_\d{6})_(?:\d\d_)?\w{4}_3[AB]_\w+$"),
        lambda _: "PlanetScope",
        _second,
    ),
)


def parse_name(path: str) -> SceneName | None:
    """Read the name of a file; None where no producer's rule fits.

    >>> parse_name("x/m_4709963_se_14_1_20090818.tif").acquired
    '2009-08-18'
    >>> parse_name("T32TQM_20200101T101021_B04_10m.jp2").scene
    'T32TQM_20200101T101021_{}_10m'
    >>> parse_name("holiday_20200101.tif") is None
    True
    """
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    for naming in _NAMINGS:
        match = naming.pattern.match(stem)
        if match:
            return _read(naming, match)
    return None


def _read(naming: _Naming, match: re.Match[str]) -> SceneName:
    said = match.groupdict()
    platform, band = said.get("platform") or "", said.get("band")
    try:
        acquired = naming.parse_date(said["date"])
    except ValueError:
        acquired = None
    scene = None
    if band is not None:
        start, end = match.span("band")
        scene = f"{match.string[:start]}{{}}{match.string[end:]}"
    resolution = said.get("resolution")
    return SceneName(
        naming.sensor(platform),
        acquired,
        band,
        scene,
        naming.rgb(platform),
        None if resolution is None else int(resolution),
        naming.nodata,
    )
