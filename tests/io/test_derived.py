# SPDX-License-Identifier: Apache-2.0
"""Mosaics, stacks and sub-datasets read as one image, whatever their members lie in."""

import os
import threading
import zipfile

import fsspec
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from rspipe.errors import UnreadableImage
from rspipe.io import gdal_child
from rspipe.io.derived import local_raster
from rspipe.io.scene import open_scene
from rspipe.io.storage import Storage
from rspipe.schema import Box, Derivation

needs_bindings = pytest.mark.skipif(
    gdal_child.describe() is None, reason="the GDAL bindings are not installed; see rspipe doctor"
)
SCENE = np.random.default_rng(0).integers(1, 5000, (3, 20, 30), dtype=np.uint16)


def write(path, values, west=0.0, north=200.0, crs="EPSG:32629", size=10.0):
    path.parent.mkdir(exist_ok=True, parents=True)
    place = {"crs": crs, "transform": from_origin(west, north, size, size)} if crs else {}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=values.shape[0],
        height=values.shape[1],
        width=values.shape[2],
        dtype=values.dtype,
        nodata=0,
        **place,
    ) as out:
        out.write(values)


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "data"), tmp_path / "cache")


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def read(storage, rule):
    with local_raster(storage, "made", rule.model_dump_json()) as file, rasterio.open(file) as d:
        return d.read(), d.profile, file


def stack(*members, **said):
    return Derivation(kind="stack", members=members, **said)


@pytest.fixture
def bands(data):
    for name, band in zip(("b4", "b3", "b2"), SCENE, strict=True):
        write(data / f"{name}.tif", band[None])
    return stack("b4.tif", "b3.tif", "b2.tif")


@pytest.fixture
def tiles(data):
    """A scene in four tiles, given in an order that is not theirs."""
    for y, x in ((0, 0), (0, 10), (12, 0), (12, 10)):
        part = SCENE[:, y : 12 if y == 0 else 20, x : 10 if x == 0 else 30]
        write(data / f"t/{y}_{x}.tif", part, west=x * 10.0, north=200.0 - y * 10.0)
    return Derivation(
        kind="mosaic", members=("t/12_10.tif", "t/0_0.tif", "t/0_10.tif", "t/12_0.tif")
    )


def test_a_stack_is_its_files_in_their_order_where_they_lie(storage, bands):
    values, profile, file = read(storage, bands)
    np.testing.assert_array_equal(values, SCENE)
    assert file.suffix == ".vrt"
    assert profile["crs"].to_epsg() == 32629
    assert profile["transform"] == from_origin(0, 200, 10, 10)
    assert profile["nodata"] == 0
    turned = stack(*bands.members[::-1])
    np.testing.assert_array_equal(read(storage, turned)[0], SCENE[::-1])


def test_bands_of_one_grid_need_no_bindings(storage, bands, monkeypatch):
    monkeypatch.setattr(gdal_child, "_PROGRAM", storage.cache / "no such program")
    np.testing.assert_array_equal(read(storage, bands)[0], SCENE)


def test_a_declared_fill_value_counts_before_the_files_own(storage, bands):
    filled = bands.model_copy(update={"nodata": 7.0})
    assert read(storage, filled)[1]["nodata"] == 7


@needs_bindings
def test_a_mosaic_is_the_scene_that_its_tiles_were_cut_from(storage, tiles):
    values, profile, _ = read(storage, tiles)
    np.testing.assert_array_equal(values, SCENE)
    assert profile["transform"] == from_origin(0, 200, 10, 10)


@needs_bindings
def test_a_hole_in_a_mosaic_has_no_data(storage, tiles):
    holed = tiles.model_copy(update={"members": tiles.members[1:]})
    with local_raster(storage, "made", holed.model_dump_json()) as file, rasterio.open(file) as d:
        valid = d.read_masks(1) > 0
    assert not valid[12:, 10:].any()
    assert valid.sum() == 20 * 30 - 8 * 20


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_bands_without_georeference_stack_by_their_pixels(storage, data):
    for name, band in zip("abc", SCENE, strict=True):
        write(data / f"{name}.tif", band[None], crs=None)
    rule = stack("a.tif", "b.tif", "c.tif")
    values, profile, _ = read(storage, rule)
    np.testing.assert_array_equal(values, SCENE)
    assert profile["crs"] is None
    write(data / "c.tif", SCENE[:1, :5], crs=None)
    with pytest.raises(UnreadableImage, match="several grids: 20x30 and 5x30 px"):
        read(storage, rule)


@needs_bindings
def test_a_coarse_band_is_brought_to_the_finest_grid(storage, data):
    write(data / "fine.tif", SCENE[:1])
    write(data / "coarse.tif", SCENE[1:2, ::2, ::2], size=20.0)
    values, profile, _ = read(storage, stack("fine.tif", "coarse.tif"))
    assert profile["transform"].a == 10
    np.testing.assert_array_equal(values[0], SCENE[0])
    np.testing.assert_array_equal(values[1, ::2, ::2], SCENE[1, ::2, ::2])


@pytest.mark.parametrize("kind", ["bands", pytest.param("tiles", marks=needs_bindings)])
def test_members_of_an_archive_read_the_same_and_no_copy_stays(request, storage, data, kind):
    rule = request.getfixturevalue(kind)
    plain = read(storage, rule)[0]
    with zipfile.ZipFile(data / "s.zip", "w") as archive:
        for member in rule.members:
            archive.write(data / member, member)
    packed = rule.model_copy(update={"members": tuple(f"s.zip/{m}" for m in rule.members)})
    values, _, file = read(storage, packed)
    np.testing.assert_array_equal(values, plain)
    assert file.suffix == ".tif"
    left = [path for path in storage.cache.rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in left) == [".tif", ".vrt"]


def test_a_product_is_made_once_and_anew_where_a_member_has_changed(storage, data, bands):
    first = read(storage, bands)[2]
    made = first.stat().st_mtime_ns
    assert read(storage, bands)[2] == first
    assert first.stat().st_mtime_ns == made
    write(data / "b3.tif", SCENE[2:])
    os.utime(data / "b3.tif", ns=(1, 1))
    values, _, file = read(storage, bands)
    assert file != first
    np.testing.assert_array_equal(values[1], SCENE[2])


def test_workers_that_want_one_product_at_once_all_get_it(storage, bands):
    seen, barrier = [], threading.Barrier(4)

    def work():
        barrier.wait()
        seen.append(read(storage, bands)[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    for values in seen:
        np.testing.assert_array_equal(values, SCENE)
    assert len(list((storage.cache / "derived").iterdir())) == 1


@needs_bindings
def test_members_that_do_not_fit_are_a_named_reason_without_folders(storage, data, tmp_path):
    write(data / "a.tif", SCENE[:1])
    write(data / "b.tif", SCENE[:1], crs="EPSG:4326")
    write(data / "c.tif", SCENE[:1], crs=None)
    write(data / "three.tif", SCENE)
    write(data / "complex.tif", SCENE[:1].astype(np.complex64))
    for rule, words in (
        (stack("a.tif", "b.tif"), "heterogeneous projection"),
        (stack("a.tif", "three.tif"), r"three\.tif: 3 bands, where a stack takes files of one"),
        (stack("a.tif", "complex.tif"), r"complex\.tif: pixels of type complex64"),
        (Derivation(kind="mosaic", members=("a.tif", "c.tif")), r"c\.tif has no georeference"),
        (stack("a.tif", "gone.tif"), r"gone\.tif: the file has vanished"),
    ):
        with pytest.raises(UnreadableImage, match=words) as caught:
            read(storage, rule)
        assert str(tmp_path) not in str(caught.value)
    (data / "b.tif").write_bytes(b"II*\0 broken")
    with pytest.raises(UnreadableImage, match=r"b\.tif") as caught:
        read(storage, stack("a.tif", "b.tif"))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("virtual", [True, False])
def test_a_broken_member_is_named_when_its_pixels_are_read(storage, data, bands, tmp_path, virtual):
    big = np.random.default_rng(0).integers(1, 5000, (1, 300, 300), dtype=np.uint16)
    for name in bands.members:
        write(data / name, big)
    broken = data / bands.members[1]
    broken.write_bytes(broken.read_bytes()[:100_000])
    rule = bands
    if not virtual:
        with zipfile.ZipFile(data / "s.zip", "w") as archive:
            for member in bands.members:
                archive.write(data / member, member)
        rule = bands.model_copy(update={"members": tuple(f"s.zip/{m}" for m in bands.members)})
    with (
        pytest.raises(UnreadableImage, match=r"b3\.tif") as caught,
        local_raster(storage, "made", rule.model_dump_json()) as file,
        open_scene(file, "made", (1, 2, 3)) as scene,
    ):
        scene.read(Box(y0=0, x0=0, y1=300, x1=300), None)
    assert str(tmp_path) not in str(caught.value)
    assert not list(storage.cache.rglob("*.tif"))


def test_members_in_object_storage_are_fetched_once(tmp_path, data, bands):
    bucket = fsspec.filesystem("memory")
    for member in bands.members:
        bucket.pipe(f"/derived-test/{member}", (data / member).read_bytes())
    storage = Storage("memory://derived-test", tmp_path / "cache")
    values, _, file = read(storage, bands)
    np.testing.assert_array_equal(values, SCENE)
    bucket.rm("/derived-test", recursive=True)
    assert [path for path in storage.cache.rglob("*") if path.is_file()] == [file]


@needs_bindings
def test_nothing_is_written_beside_the_sources(storage, data, bands, tiles):
    before = sorted(data.rglob("*"))
    read(storage, bands)
    read(storage, tiles)
    assert sorted(data.rglob("*")) == before
