# SPDX-License-Identifier: Apache-2.0
"""The card `dataset.yaml` of each demo data set."""

from pathlib import Path
from typing import TypeAlias

import yaml

from pipelines.demo.benchmarks import (
    COAST_WINDOWS_PX,
    ISLANDS_ZOOM,
    TILE_PX,
)
from pipelines.demo.coast_classes import CLASSES
from pipelines.demo.sources import CHIP_SIZES_PX, SCENES
from pipelines.demo.world import EQUATOR_GSD_M, LAKE, LAND, SEA

LICENCE = "LicenseRef-NASA-public-domain"
LICENCE_URL = "https://visibleearth.nasa.gov/image-use-policy"
IMAGE_ATTRIBUTION = "NASA Visible Earth, Blue Marble Next Generation"
LABEL_ATTRIBUTION = "coastlines and lakes: GSHHG by Wessel and Smith, LGPL-3.0-or-later"
CITATION = (
    "R. Stoeckli, E. Vermote, N. Saleous, R. Simmon, D. Herring (2005): The Blue Marble Next "
    "Generation. NASA Earth Observatory. "
    "P. Wessel, W. H. F. Smith (1996): A global, self-consistent, hierarchical, "
    "high-resolution shoreline database. J. Geophys. Res. 101, 8741-8743."
)
STRETCHED = (
    "The pictures of the benchmarks and of the chips are equirectangular: away from the "
    "equator a pixel is narrower than high, by the cosine of the latitude."
)

Card: TypeAlias = dict[str, object]


def gsd_range_m(zooms: list[float]) -> list[float]:
    """Metres per pixel along the meridian, [finest, coarsest], for zooms of the picture."""
    return [round(EQUATOR_GSD_M / max(zooms), -1), round(EQUATOR_GSD_M / min(zooms), -1)]


def card(name: str, title: str, **differences: object) -> Card:
    """A card with what all five share."""
    shared: Card = {
        "name": name,
        "title": title,
        "layout": "image_folder",
        "task": "unlabelled",
        "version": "1",
        "licence": LICENCE,
        "licence_url": LICENCE_URL,
        "attribution": IMAGE_ATTRIBUTION,
        "redistributable": True,
        "gsd_m": gsd_range_m([1.0]),
        "bands": ["red", "green", "blue"],
        "benchmark_splits": [],
        "classes": [],
        "options": {},
        "citation": CITATION,
        "known_faults": [],
    }
    return shared | differences


def benchmark_card(name: str, title: str, **differences: object) -> Card:
    """A card of a benchmark: all of its splits must stay out of a corpus."""
    attribution = f"{IMAGE_ATTRIBUTION}; {LABEL_ATTRIBUTION}"
    return card(name, title, benchmark_splits="all", attribution=attribution, **differences)


def demo_cards() -> list[Card]:
    """The five cards."""
    return [
        card(
            "demo_scenes",
            "Blue Marble scenes in five reference systems",
            layout="scenes",
            gsd_m=gsd_range_m([scene.zoom for scene in SCENES]),
            known_faults=[
                "Scenes in conic projections have empty corners (nodata 0).",
                "Three scenes are uint16 and hold value * 16 (band scale 0.0625).",
                "Scenes with a zoom above 1 are resampled: finer in pixels, not in detail.",
            ],
        ),
        card(
            "demo_chips",
            "Blue Marble chips as a web gallery would give them",
            gsd_m=gsd_range_m([out_px / size_px for size_px, out_px in CHIP_SIZES_PX]),
            known_faults=[
                "The faults of a real download are planted; ../planted.json lists each.",
                "Neighbouring chips overlap by half a side at most.",
                STRETCHED,
            ],
        ),
        benchmark_card(
            "demo_coasts",
            "Shapes of coasts: scene classes from the topology of land and sea",
            task="classification",
            gsd_m=gsd_range_m([TILE_PX / window_px for window_px in COAST_WINDOWS_PX]),
            classes=list(CLASSES),
            known_faults=[
                "Tiles come in four zooms; the smallest are enlarged twice and look soft.",
                "Neighbouring tiles of one split overlap by half a side at most.",
                STRETCHED,
            ],
        ),
        benchmark_card(
            "demo_islands",
            "Islands and lakes with horizontal and oriented boxes",
            layout="voc",
            task="detection",
            gsd_m=gsd_range_m([ISLANDS_ZOOM]),
            classes=["island", "lake"],
            known_faults=[
                "Continents and Greenland are no islands.",
                "A horizontal box is the envelope of the oriented one, so it is loose around "
                "diagonal objects.",
                "Each visible part of an object cut by the border has its own box.",
                STRETCHED,
            ],
        ),
        benchmark_card(
            "demo_landcover",
            "Sea, land and lake, per pixel",
            layout="mask_pairs",
            task="segmentation",
            classes={"sea": SEA, "land": LAND, "lake": LAKE},
            known_faults=[
                "Rivers are land; seasonal and salt lakes may be dry in the picture.",
                STRETCHED,
            ],
        ),
    ]


def write_cards(native: Path) -> None:
    """Write each card into the folder of its data set."""
    for content in demo_cards():
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)
        (native / str(content["name"]) / "dataset.yaml").write_text(text)
