# SPDX-License-Identifier: Apache-2.0
"""GDAL's own bindings work for us in a child process, and never in this one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy.io import netcdf_file

from rspipe.errors import UnreadableImage
from rspipe.io import gdal_child

pytestmark = pytest.mark.skipif(
    gdal_child.describe() is None, reason="the GDAL bindings are not installed; see rspipe doctor"
)
SD = pytest.importorskip("pyhdf.SD")

FINE = np.arange(24 * 24, dtype=np.int16).reshape(24, 24)
COARSE = (np.arange(12 * 12, dtype=np.int16).reshape(12, 12) * 3).astype(np.int16)


@pytest.fixture
def hdf4(tmp_path):
    """An HDF4 file of two fine and one coarse sub-dataset, written by another library."""
    path = tmp_path / "c.hdf"
    container = SD.SD(str(path), SD.SDC.WRITE | SD.SDC.CREATE)
    for name, values in {"red": FINE, "green": COARSE, "blue": FINE + 1}.items():
        sub = container.create(name, SD.SDC.INT16, values.shape)
        sub[:] = values
        sub.endaccess()
    container.end()
    return path


@pytest.fixture
def extract(tmp_path):
    def extract(file, names, target="out.tif", nodata=None, valid_range=None):
        path = tmp_path / target
        gdal_child.extract(file, names, path, "set/c.hdf", nodata=nodata, valid_range=valid_range)
        with rasterio.open(path) as dataset:
            return dataset.read(), dataset.nodata

    return extract


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
class TestExtract:
    def test_bands_come_in_the_order_asked_for_and_coarse_ones_are_repeated(self, hdf4, extract):
        values, nodata = extract(hdf4, ["blue", "green", "red"])
        np.testing.assert_array_equal(values[0], FINE + 1)
        np.testing.assert_array_equal(values[1], COARSE.repeat(2, axis=0).repeat(2, axis=1))
        np.testing.assert_array_equal(values[2], FINE)
        assert nodata is None

    def test_what_is_no_measurement_becomes_no_data(self, hdf4, extract):
        values, nodata = extract(hdf4, ["red"], nodata=-1, valid_range=(10, 500))
        assert nodata == -1
        inside = (FINE >= 10) & (FINE <= 500)
        np.testing.assert_array_equal(values[0], np.where(inside, FINE, -1))

    def test_the_same_work_gives_the_same_bytes(self, hdf4, extract, tmp_path):
        for target in ("a.tif", "b.tif"):
            extract(hdf4, ["red", "green", "blue"], target)
        assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()

    def test_netcdf_is_read_the_same_way(self, tmp_path, extract):
        path = tmp_path / "c.nc"
        with netcdf_file(path, "w") as container:
            container.createDimension("y", 24)
            container.createDimension("x", 24)
            for name, values in (("red", FINE), ("green", FINE + 7)):
                container.createVariable(name, "i2", ("y", "x"))[:] = values
        values, _ = extract(path, ["green"])
        # Without coordinates GDAL takes the first row of a netCDF grid for the southernmost.
        np.testing.assert_array_equal(values[0], FINE[::-1] + 7)

    @pytest.mark.parametrize(
        ("names", "rule", "words"),
        [
            (["infrared"], {}, "no sub-dataset 'infrared'; there are: red, green, blue"),
            (["red"], {"valid_range": (0, 1)}, "a valid range needs a no-data value"),
        ],
    )
    def test_a_refusal_says_why_and_leaves_nothing(
        self, hdf4, extract, tmp_path, names, rule, words
    ):
        with pytest.raises(UnreadableImage, match=words) as caught:
            extract(hdf4, names, **rule)
        assert str(tmp_path) not in str(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == ["c.hdf"]

    def test_a_broken_container_is_named_without_this_machine_folders(
        self, hdf4, extract, tmp_path
    ):
        hdf4.write_bytes(hdf4.read_bytes()[:200])
        with pytest.raises(UnreadableImage, match=r"^set/c\.hdf: GDAL: ") as caught:
            extract(hdf4, ["red"])
        assert str(tmp_path) not in str(caught.value)

    def test_a_gdal_without_the_driver_points_at_the_doctor(self, hdf4, extract, monkeypatch):
        monkeypatch.setenv("GDAL_SKIP", "HDF4,HDF4Image")
        with pytest.raises(UnreadableImage, match="built without HDF4; see `rspipe doctor`"):
            extract(hdf4, ["red"])


def test_osgeo_is_never_imported_into_this_process():
    assert "GTiff" in gdal_child.describe()["drivers"]
    assert "osgeo" not in sys.modules


def program(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(text)
    return path


def work(tmp_path):
    return gdal_child.extract(
        tmp_path / "x.hdf", ["a"], tmp_path / "out.tif", "x.hdf", nodata=None, valid_range=None
    )


def test_missing_bindings_point_at_the_doctor(tmp_path, monkeypatch):
    monkeypatch.setattr(gdal_child, "_PROGRAM", program(tmp_path, "import osgeo_that_is_not_there"))
    with pytest.raises(UnreadableImage, match="GDAL: ModuleNotFoundError"):
        work(tmp_path)
    missing = "raise ModuleNotFoundError(\"No module named 'osgeo'\")"
    monkeypatch.setattr(gdal_child, "_PROGRAM", program(tmp_path, missing))
    assert gdal_child.describe() is None
    with pytest.raises(
        UnreadableImage, match="bindings, which are missing here; see `rspipe doctor`"
    ):
        work(tmp_path)


def test_a_crash_in_gdal_is_a_row_not_a_crash(tmp_path, monkeypatch):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(gdal_child, "_PROGRAM", program(tmp_path, crash))
    with pytest.raises(UnreadableImage, match="signal 11"):
        work(tmp_path)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for_end(pid, seconds=20):
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def test_a_child_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    text = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
    monkeypatch.setattr(gdal_child, "_PROGRAM", program(tmp_path, text + "time.sleep(600)"))
    monkeypatch.setattr(gdal_child, "TIMEOUT_S", 3)
    with pytest.raises(UnreadableImage, match="more than 3 s"):
        work(tmp_path)
    assert wait_for_end(int((tmp_path / "pid").read_text()))


def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    """The parent dies while the child waits for work on an input that stays open."""
    reading, writing = os.pipe()
    start = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-P', {str(gdal_child._PROGRAM)!r}], stdin=0)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", start], stdin=reading, stdout=subprocess.PIPE)
    try:
        child = int(parent.stdout.readline())
        time.sleep(1)
        assert is_running(child)
        parent.kill()
        parent.wait()
        assert wait_for_end(child)
    finally:
        parent.stdout.close()
        os.close(reading)
        os.close(writing)
