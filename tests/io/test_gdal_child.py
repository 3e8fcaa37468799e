import sys

import pytest

from rspipe.io import gdal_child


def test_osgeo_is_never_imported_into_this_process():
    found = gdal_child.describe()
    if found is None:
        pytest.skip("the GDAL bindings are not installed")
    assert "GTiff" in found["drivers"]
    assert "osgeo" not in sys.modules
