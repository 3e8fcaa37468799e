"""Bare scenes: GeoTIFF, COG or JPEG 2000 files in any folders, no annotation (NAIP, Landsat …)."""

from rspipe.readers.base import Listing, record
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard


class Scenes:
    """Every raster is an image; header facts (CRS, bounds, bands) are read when it is opened."""

    name = "scenes"
    options: tuple[str, ...] = ()

    def recognises(self, tree: FileTree) -> bool:
        """Every image file is a raster."""
        rasters = tree.with_suffix(".tif", ".tiff", ".jp2", ".j2k")
        return bool(rasters) and len(rasters) == len(tree.image_paths)

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List every raster; statistics files of GDAL and world files are sidecars."""
        images = {path: record(path, card) for path in tree.image_paths}
        sidecars = dict.fromkeys(
            tree.with_suffix(".tfw", ".j2w", ".prj", ".xml", ".ovr", ".geojson", ".json"),
            "metadata of a scene",
        )
        return Listing(images, sidecars)
