# SPDX-License-Identifier: Apache-2.0
"""Lays out what detectors are judged on: `python -m pipelines.real_sets.detection_data REAL OUT`.

HIT-UAV without the nine pictures that it holds twice (in another encoding, below `normal_xml`), at
the paths that the corpus knows it by, so that its ledger tells which were seen; ships of three
ports as tiles; and eight pictures to learn by heart.
"""

import shutil
import sys
from pathlib import Path

from pipelines.real_sets.by_heart import make_pictures
from pipelines.real_sets.layout import real_and_out, write_set
from pipelines.real_sets.sets import HIT_UAV
from pipelines.real_sets.ship_tiles import make_tiles

DEFAULT_FOLDER = Path("data/real_sets/detection")
_KEPT = "rotate_xml"


def make_detection_data(real: Path, out: Path) -> None:
    """Write four data sets.

    Args:
        real: folder of the real data sets; nothing is written to it.
        out: what was there of these four is replaced.
    """
    shutil.rmtree(out / HIT_UAV.name, ignore_errors=True)
    write_set(HIT_UAV, real, out, _KEPT)
    make_tiles(real, out)
    make_pictures(real, out)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    program = "pipelines.real_sets.detection_data"
    real, out = real_and_out(program, __doc__, DEFAULT_FOLDER, arguments)
    make_detection_data(real, out)
    sys.stdout.write(f"{out}: hit_uav, ships by ports and by places, pictures by heart\n")


if __name__ == "__main__":
    main()
