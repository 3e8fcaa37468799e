# SPDX-License-Identifier: Apache-2.0
"""Scenes that come in tiles, put together by the card's pattern; one has a single tile."""

from rspipe.schema import Derivation
from tests.fakes import Expected, write_files

_OPTIONS = {"mosaic_pattern": r"(?P<scene>scene_\d+)_R\d+C\d+\.tif$"}


def write(root):
    tiles = tuple(f"a/scene_7_R{row}C{column}.tif" for row in (1, 2) for column in (1, 2))
    images = {
        # The plain name is that of a file.
        "a/scene_7.vrt": {},
        "a/scene_7.vrt.made": {"derivation": Derivation(kind="mosaic", members=tiles)},
        "a/scene_8_R1C1.tif": {},
        "b/other.tif": {},
    }
    files = [path for path in images if not path.endswith(".made")]
    write_files(root, dict.fromkeys([*tiles, *files], b""))
    return Expected("scenes", images, frozenset(tiles), options=_OPTIONS, recognised=False)
