import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds

from rspipe.errors import UnreadableImage
from rspipe.io import raster
from rspipe.schema import Box


@pytest.fixture
def write(tmp_path):
    def write(values, crs="EPSG:4326", nodata=None, name="a.tif"):
        path = tmp_path / name
        bands, height, width = values.shape
        profile = {
            "driver": "GTiff",
            "count": bands,
            "height": height,
            "width": width,
            "dtype": values.dtype,
            "nodata": nodata,
        }
        if crs:
            profile |= {"crs": crs, "transform": from_bounds(10, 40, 12, 41, width, height)}
        with rasterio.open(path, "w", **profile) as out:
            out.write(values)
        return path

    return write


def ramp(bands, dtype, height=20, width=40):
    values = np.arange(bands * height * width).reshape(bands, height, width)
    return (values % 256 if dtype == "uint8" else values * 7).astype(dtype)


def test_facts_carry_the_footprint_and_the_ground_size_of_a_pixel(write):
    facts = raster.read_facts(write(ramp(3, "uint8")), "a", None)
    assert facts.bounds_4326 == pytest.approx((10, 40, 12, 41))
    assert facts.gsd_m == pytest.approx(0.05 * 111_320)
    assert facts.display_bands == (1, 2, 3)


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
    ],
)
def test_visible_bands_follow_the_card_then_the_file(write, bands, dtype, names, expected):
    path = write(ramp(bands, dtype))
    assert raster.read_facts(path, "a", names).display_bands == expected


def test_windows_of_8_bit_are_the_pixels_themselves(write):
    values = ramp(3, "uint8")
    with raster.open_scene(write(values), "a", (1, 2, 3)) as scene:
        pixels, valid = scene.read(Box(y0=5, x0=7, y1=15, x1=30), None)
    np.testing.assert_array_equal(pixels, values[:, 5:15, 7:30].transpose(1, 2, 0))
    assert valid.all()


def test_one_stretch_serves_all_windows_of_a_scene(write):
    values = ramp(1, "uint16")
    with raster.open_scene(write(values), "a", (1,)) as scene:
        stretch = scene.percentile_stretch(0, 100)
        whole, _ = scene.read(Box(y0=0, x0=0, y1=20, x1=40), stretch)
        part, _ = scene.read(Box(y0=10, x0=0, y1=20, x1=40), stretch)
    np.testing.assert_array_equal(whole[10:], part)
    assert whole.min() == 0
    assert whole.max() == 255


def test_a_stretch_keeps_the_ratio_of_colours(write):
    values = np.stack([np.full((20, 40), v) for v in (100, 200, 400)]).astype("uint16")
    values[:, 0, 0] = 0
    with raster.open_scene(write(values), "a", (1, 2, 3)) as scene:
        pixels, _ = scene.read(Box(y0=5, x0=5, y1=6, x1=6), scene.percentile_stretch(0, 100))
    np.testing.assert_allclose(pixels[0, 0] / 255, [0.25, 0.5, 1], atol=0.01)


def test_nodata_is_invalid_and_outside_the_stretch(write):
    values = ramp(1, "uint16")
    values[:, :5] = 0
    with raster.open_scene(write(values, nodata=0), "a", (1,)) as scene:
        stretch = scene.percentile_stretch(0, 100)
        _, valid = scene.read(Box(y0=0, x0=0, y1=20, x1=40), stretch)
    assert stretch.low > 0
    assert not valid[:5].any()


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
