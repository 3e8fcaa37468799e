# SPDX-License-Identifier: Apache-2.0
"""HDF containers: which sub-datasets are the picture, and that their values arrive."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio

from rspipe.curate.config import SliceConfig
from rspipe.curate.slice import SliceItem, slice_images
from rspipe.errors import RecipeError
from rspipe.io import gdal_child
from rspipe.io.derived import local_raster
from rspipe.io.storage import Storage
from rspipe.readers import FileTree, read_dataset
from rspipe.readers.modis_hdf import PRODUCTS
from rspipe.schema import IMAGE_SCHEMA, DatasetCard
from tests.fakes import write_files
from tests.ingested import ingested


def read(root, **options):
    card = DatasetCard(name="x", layout="modis_hdf", options=options)
    return read_dataset(FileTree.scan(root), card)


def test_a_card_may_name_the_subdatasets_of_any_container(tmp_path):
    write_files(tmp_path, {"a.h5": b"", "b.nc": b"", "c.tif": b""})
    names = {"blue": "B", "red": "R", "green": "G"}
    listing = read(tmp_path, subdatasets=names, nodata=-1, valid_range=[0, 10_000], scale=0.5)
    assert set(listing.images) == {"a.h5", "b.nc"}
    rule = listing.images["a.h5"].derivation
    assert rule.members == ("a.h5", "R", "G", "B")
    assert rule.bands == ("red", "green", "blue")
    assert (rule.nodata, rule.valid_range, rule.scale) == (-1, (0, 10_000), 0.5)
    grey = read(tmp_path, subdatasets={"grey": "pan"}).images["b.nc"].derivation
    assert (grey.members, grey.bands) == (("b.nc", "pan"), ("grey",))


@pytest.mark.parametrize(
    "options",
    [
        {"subdatasets": {"red": "a", "green": "b"}},
        {"subdatasets": "a"},
        {"subdatasets": {"grey": "a"}, "nodata": "none"},
        {"subdatasets": {"grey": "a"}, "valid_range": [1]},
    ],
)
def test_a_card_that_describes_no_picture_is_an_error(tmp_path, options):
    with pytest.raises(RecipeError, match="card 'x'"):
        read(tmp_path, **options)


REAL = "MOD09GA.A2008296.h14v17.006.2015181011753.hdf"


@pytest.fixture
def real_row(real_data, tmp_path):
    """The file's row of the image table, through ingest."""
    if gdal_child.describe() is None:
        pytest.skip("the GDAL bindings are not installed; see rspipe doctor")
    return ingested(real_data, tmp_path / "stages", "hdf4")[REAL]


@pytest.mark.real_data
class TestAgainstPyhdf:
    """pyhdf is another library with another HDF4 reader: what it reads is what must arrive."""

    @pytest.fixture
    def container(self, real_data):
        sd = pytest.importorskip("pyhdf.SD")
        container = sd.SD(str(real_data / "hdf4" / REAL))
        yield container
        container.end()

    def test_the_table_says_what_the_file_states(self, container):
        product = PRODUCTS["MOD09GA"]
        for name in product.subdatasets:
            stated = container.select(name).attributes()
            assert stated["_FillValue"] == product.nodata
            assert tuple(stated["valid_range"]) == product.valid_range
            # MOD09 states what to divide by.
            assert 1 / stated["scale_factor"] == pytest.approx(product.scale)
            assert stated["add_offset"] == product.offset
            assert stated["units"] == product.unit

    def test_the_values_arrive_in_colour_order_without_what_is_no_measurement(
        self, container, real_row, real_data, tmp_path
    ):
        storage = Storage(str(real_data / "hdf4"), tmp_path / "cache")
        with (
            local_raster(storage, REAL, real_row["derivation"]) as file,
            rasterio.open(file) as dataset,
        ):
            ours, nodata = dataset.read(), dataset.nodata
        assert nodata == -28672
        for index, band in enumerate((1, 4, 3)):
            theirs = container.select(f"sur_refl_b{band:02d}_1").get().astype(int)
            theirs[(theirs < -100) | (theirs > 16000)] = -28672
            np.testing.assert_array_equal(ours[index], theirs)
        assert (ours != -28672).sum() > 40_000

    def test_date_place_and_size_are_those_of_the_metadata(self, container, real_row):
        core = container.attributes()["CoreMetadata.0"]
        began = core.partition("RANGEBEGINNINGDATE")[2].partition('VALUE                = "')[2]
        assert real_row["acquired"] == began[:10] == "2008-10-22"
        assert (real_row["height"], real_row["width"], real_row["bands"]) == (2400, 2400, 3)
        assert real_row["display_bands"] == [1, 2, 3]
        assert real_row["gsd_m"] == pytest.approx(463.3127, abs=1e-4)
        assert "Sinusoidal" in real_row["crs"]
        rule = json.loads(real_row["derivation"])
        assert (rule["scale"], rule["offset"], rule["unit"]) == (0.0001, 0, "reflectance")

    def test_it_ends_as_tiles_and_those_without_data_are_counted_right(
        self, container, real_row, real_data, tmp_path
    ):
        """The granule is nearly empty: two of 37 x 37 blocks of 64 px lie wholly in its corner."""
        part = tmp_path / "part.parquet"
        pq.write_table(pa.Table.from_pylist([real_row], IMAGE_SCHEMA), part)
        item = SliceItem(
            part,
            {"hdf4": Storage(str(real_data / "hdf4"), tmp_path / "cache")},
            {"hdf4": DatasetCard(name="hdf4")},
            SliceConfig(larger_than_px=64, tile_px=64, stride_px=64),
        )
        rows = slice_images(item).to_pylist()
        tiles = {(r["y0"], r["x0"]): r for r in rows if (r["h"], r["w"]) == (64, 64)}
        valid = np.zeros((2400, 2400), dtype=bool)
        for band in (1, 4, 3):
            values = container.select(f"sur_refl_b{band:02d}_1").get()
            valid |= (values >= -100) & (values <= 16000)
        for (y0, x0), tile in tiles.items():
            empty = 1 - valid[y0 : y0 + 64, x0 : x0 + 64].mean()
            assert tile["nodata_fraction"] == pytest.approx(empty, abs=1e-6)
        full = [tile for tile in tiles.values() if tile["nodata_fraction"] == 0]
        assert len(full) == 2
        assert all(tile["acquired"] == "2008-10-22" and tile["bands"] == 3 for tile in full)


@pytest.mark.real_data
def test_a_container_renamed_keeps_its_own_date(real_data, tmp_path):
    """Without the date in its name, the first date that the container itself states counts."""
    if gdal_child.describe() is None:
        pytest.skip("the GDAL bindings are not installed; see rspipe doctor")
    folder = tmp_path / "data/mine"
    folder.mkdir(parents=True)
    (folder / "mine.hdf").symlink_to(real_data / "hdf4" / REAL)
    (folder / "dataset.yaml").write_text(
        "name: mine\nlayout: modis_hdf\noptions:\n  subdatasets:\n"
        "    {red: sur_refl_b01_1, green: sur_refl_b04_1, blue: sur_refl_b03_1}\n"
    )
    row = ingested(tmp_path / "data", tmp_path / "stages", "mine")["mine.hdf"]
    assert row["drop_reason"] is None
    assert row["acquired"] == "2008-10-22"
    assert row["source_sha256"]
    assert row["source_size_bytes"] == (real_data / "hdf4" / REAL).stat().st_size
