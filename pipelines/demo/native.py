# SPDX-License-Identifier: Apache-2.0
"""Writes the five native data sets, the planted faults, and the lists beside them."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.demo import benchmarks, sources
from pipelines.demo.cards import write_cards
from pipelines.demo.faults import plant_faults, write_planted
from pipelines.demo.world import World
from pipelines.demo.writing import Placed, write_placed
from rspipe.progress import tally


def writers() -> dict[str, Callable[[World, Path], Iterator[Placed]]]:
    """The writer of each data set; benchmarks first, because chips take leaks from them."""
    return {
        "demo_coasts": benchmarks.write_coasts,
        "demo_islands": benchmarks.write_islands,
        "demo_landcover": benchmarks.write_landcover,
        "demo_scenes": sources.write_scenes,
        "demo_chips": sources.write_chips,
    }


def write_native(folder: Path) -> Counter[str]:
    """Write all five data sets, the cards and the two lists; returns images per data set."""
    world = World.from_package()
    placed = []
    with tally("demo", unit="image") as progress:
        for dataset, write in writers().items():
            progress.set_description(dataset)
            for image in write(world, folder / dataset):
                placed.append(image)
                progress.update()
    chips = [image.source_path for image in placed if image.dataset == "demo_chips"]
    planted = plant_faults(folder, chips)
    write_planted(planted, folder / "planted.json")
    write_placed(placed, folder / "footprints.csv")
    write_cards(folder)
    counts = Counter(image.dataset for image in placed)
    counts["planted files"] = len(planted)
    return counts
