# SPDX-License-Identifier: Apache-2.0
"""Which folders of the real data become which data set, and who of them is held out."""

from dataclasses import dataclass, field
from typing import Any

from rspipe.catalog import catalog_card
from rspipe.schema import DatasetCard


@dataclass(frozen=True)
class RealSet:
    """One data set: where it lies, and how its card differs from the catalog's."""

    source: str
    """Folder below the real data."""
    name: str
    """Folder that it becomes, and its name in every table."""
    based_on: str | None = None
    """Card of the catalog; None: an empty one."""
    differs: dict[str, Any] = field(default_factory=dict)
    """Fields of the card."""

    def card(self) -> DatasetCard:
        """The card, checked."""
        known = {} if self.based_on is None else catalog_card(self.based_on).model_dump()
        return DatasetCard.model_validate({**known, "name": self.name, **self.differs})


HIT_UAV = RealSet("hit_uav", "hit_uav", "hit_uav", {"options": {"images": "rotate_xml"}})
"""The nine pictures of normal_xml are there again, in other encodings."""

SETS = (
    RealSet("hurricane_damage", "hurricane_damage", "hurricane_damage"),
    # The catalog holds the whole set out, since nobody splits it alike. Tiles NNN of a class lie in
    # rows of ten; the last four columns are scored.
    RealSet(
        "eurosat_recut",
        "eurosat_recut",
        "eurosat",
        {
            "aliases": (),
            "benchmark_splits": ("test",),
            "train_splits": ("train",),
            "test_splits": ("test",),
            "options": {
                "split_patterns": {"train": r"\d\d[0-5]\.jpg$", "test": r"\d\d[6-9]\.jpg$"}
            },
        },
    ),
    # Places, not pictures, are held out: the nine images of a tile touch each other.
    RealSet(
        "dubai_seg",
        "dubai_seg",
        "dubai_seg",
        {
            "benchmark_splits": ("test",),
            "train_splits": ("train",),
            "test_splits": ("test",),
            "options": {"split_patterns": {"train": "Tile [156]/", "test": "Tile [23]/"}},
        },
    ),
    HIT_UAV,
    RealSet(
        "sen2ships",
        "sen2ships",
        "sen2ships",
        {
            "benchmark_splits": ("test",),
            "train_splits": ("train",),
            "test_splits": ("test",),
            "options": {
                "masks": ["SegmentationClass", "SegmentationObject"],
                "split_patterns": {"train": "^(casablanca|honolulu)/", "test": "^cartagena/"},
            },
        },
    ),
    RealSet(
        "geotiff/naip",
        "naip_scene",
        differs={
            "layout": "scenes",
            "bands": ("red", "green", "blue", "nir"),
            "attribution": "NAIP courtesy of USDA",
        },
    ),
    RealSet(
        "geotiff/landsat_pucallpa",
        "landsat_pucallpa",
        differs={
            "layout": "scenes",
            "bands": ("swir1", "nir", "red", "green"),
            "attribution": "Landsat courtesy of USGS",
        },
    ),
    RealSet(
        "geotiff/landsat_utm18",
        "landsat_utm18",
        differs={"layout": "scenes", "attribution": "Landsat courtesy of USGS"},
    ),
    RealSet(
        "jp2",
        "sentinel2_jp2",
        differs={"layout": "scenes", "attribution": "contains modified Copernicus Sentinel data"},
    ),
)
"""All of them; beside them stand the demo's five (pipelines/demo)."""
