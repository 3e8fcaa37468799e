# SPDX-License-Identifier: Apache-2.0
"""Files that stand beside a raster and are no image: world files, statistics, overviews."""

from rspipe.readers.tree import FileTree

_COMPANIONS = {
    ".aux.xml": "statistics of a raster",
    ".ovr": "overviews of a raster",
    ".msk": "validity of a raster",
    ".prj": "projection of a raster",
    ".tfw": "world file",
    ".tifw": "world file",
    ".tfwx": "world file",
    ".jgw": "world file",
    ".jpgw": "world file",
    ".pgw": "world file",
    ".pngw": "world file",
    ".j2w": "world file",
    ".wld": "world file",
    ".rpb": "camera model of a raster",
    ".imd": "metadata of a raster",
}


def companions(tree: FileTree) -> dict[str, str]:
    """Name the files that only serve a raster: path → what they are."""
    suffixes = tuple(_COMPANIONS)
    return {
        path: next(what for end, what in _COMPANIONS.items() if path.lower().endswith(end))
        for path in tree.paths
        if path.lower().endswith(suffixes)
    }
