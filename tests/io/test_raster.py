# SPDX-License-Identifier: Apache-2.0
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from rspipe.errors import UnreadableImage
from rspipe.io import raster
from tests.io.rasters import ramp, write_raster


@pytest.fixture
def write(tmp_path):
    return lambda values, **options: write_raster(tmp_path / "a.tif", values, **options)


def test_facts_carry_the_footprint_and_the_ground_size_of_a_pixel(write):
    facts = raster.read_facts(write(ramp(3, "uint8")), "a", None)
    assert facts.bounds_4326 == pytest.approx((10, 40, 12, 41))
    assert facts.gsd_m == pytest.approx(0.05 * 111_320)
    assert facts.display_bands == (1, 2, 3)


@pytest.mark.parametrize(
    ("crs", "size", "gsd_m"),
    [
        ("EPSG:32631", 0.5, 0.5),
        ("EPSG:2263", 1.0, 0.3048),  # New York, in US survey feet
        ("EPSG:3857", 10.0, None),
    ],
)
def test_the_ground_size_is_in_metres_whatever_the_unit(write, crs, size, gsd_m):
    path = write(ramp(1, "uint8"), crs=crs, transform=from_origin(600_000, 5_000_000, size, size))
    found = raster.read_facts(path, "a", None).gsd_m
    # Web Mercator at 40.9° north is stretched by 1/cos.
    assert found == pytest.approx(gsd_m or 10 * 0.7558, rel=1e-3)


@pytest.mark.parametrize(
    ("bands", "dtype", "names", "expected"),
    [
        (1, "uint16", None, (1,)),
        (1, "float32", None, None),
        (2, "uint8", None, None),
        (10, "float32", None, None),
        (4, "uint16", ("blue", "green", "red", "nir"), (3, 2, 1)),
        (10, "float32", ("nir", "swir"), None),
        (3, "uint8", ("swir", "nir", "red"), None),
        (3, "uint8", ("nir", "red", "green"), None),
    ],
)
def test_visible_bands_follow_the_card_then_the_file(write, bands, dtype, names, expected):
    path = write(ramp(bands, dtype))
    assert raster.read_facts(path, "a", names).display_bands == expected


@pytest.mark.parametrize(("bands", "expected"), [(2, (1,)), (4, (1, 2, 3))])
def test_an_alpha_band_is_not_shown(write, bands, expected):
    path = write(ramp(bands, "uint8"))
    with rasterio.open(path, "r+") as out:
        out.colorinterp = [ColorInterp.undefined] * (bands - 1) + [ColorInterp.alpha]
    assert raster.read_facts(path, "a", None).display_bands == expected


def test_a_raster_of_numbered_colours_is_a_map_and_no_picture(write):
    path = write(ramp(1, "uint8"), photometric="palette")
    with rasterio.open(path, "r+") as out:
        out.write_colormap(1, {0: (255, 0, 0, 255), 1: (0, 255, 0, 255)})
    assert raster.read_facts(path, "a", None).display_bands is None


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_scene_without_georeference_is_still_an_image(write):
    facts = raster.read_facts(write(ramp(3, "uint8"), crs=None), "a", None)
    assert facts.crs is None
    assert facts.bounds_4326 is None


def test_errors_name_the_image_and_no_folder_of_this_machine(tmp_path):
    path = tmp_path / "b.tif"
    path.write_bytes(b"II*\0 broken")
    with pytest.raises(UnreadableImage) as caught:
        raster.read_facts(path, "set/b.tif", None)
    assert str(tmp_path) not in str(caught.value)
