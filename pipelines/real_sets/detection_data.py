# SPDX-License-Identifier: Apache-2.0
"""Lays out what detectors are judged on: `python -m pipelines.real_sets.detection_data REAL OUT`.

HIT-UAV without the nine pictures that it holds twice (in another encoding, below `normal_xml`), at
the paths that the corpus knows it by, so that its ledger tells which were seen; ships of three
ports as tiles; and eight pictures to learn by heart.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

import yaml

from pipelines.real_sets.by_heart import make_pictures
from pipelines.real_sets.sets import SETS
from pipelines.real_sets.ship_tiles import make_tiles
from rspipe.catalog import CARD_NAME

DEFAULT_FOLDER = Path("data/real_sets/detection")
_KEPT = "rotate_xml"


def make_detection_data(real: Path, out: Path) -> None:
    """Write four data sets.

    Args:
        real: folder of the real data sets; nothing is written to it.
        out: what was there of these four is replaced.
    """
    told = next(one for one in SETS if one.name == "hit_uav")
    folder = out / told.name
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(p for p in (real / told.source / _KEPT).rglob("*") if p.is_file()):
        target = folder / path.relative_to(real / told.source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    card = told.card().model_dump(mode="json", exclude_defaults=True)
    (folder / CARD_NAME).write_text(yaml.safe_dump(card, sort_keys=False))
    make_tiles(real, out)
    make_pictures(real, out)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="pipelines.real_sets.detection_data", description=__doc__)
    named = os.environ.get("RSPIPE_REAL_DATA")
    parser.add_argument("real", type=Path, nargs="?", default=named)
    parser.add_argument("out", type=Path, nargs="?", default=DEFAULT_FOLDER)
    chosen = parser.parse_args(arguments)
    if chosen.real is None:
        parser.error("name a folder of real data sets, or set RSPIPE_REAL_DATA")
    make_detection_data(chosen.real, chosen.out)
    sys.stdout.write(f"{chosen.out}: hit_uav, ships by ports and by places, pictures by heart\n")


if __name__ == "__main__":
    main()
