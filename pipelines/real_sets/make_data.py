# SPDX-License-Identifier: Apache-2.0
"""Lays out the real data sets with their cards: `python -m pipelines.real_sets.make_data REAL OUT`.

REAL is a folder of real data sets in their published layouts (default: what the environment's
RSPIPE_REAL_DATA names). Files are copied byte for byte; what is added is a `dataset.yaml` each,
which says who is held out. The demo's own data sets are written beside them.
"""

import shutil
import sys
from pathlib import Path

from pipelines.demo.make_data import make_data as make_demo
from pipelines.real_sets.layout import real_and_out, write_set
from pipelines.real_sets.sets import SETS

DEFAULT_FOLDER = Path("data/real_sets/native")


def make_data(real: Path, out: Path, demo: bool = True) -> None:
    """Write all data sets beside `out` first, and move them there when they are complete.

    Args:
        real: folder of the real data sets; nothing is written to it.
        out: what was there is replaced.
        demo: also write the demo's data sets, for a larger corpus.

    Raises:
        FileNotFoundError: a data set is missing.
    """
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if demo:
        partial.rmdir()
        make_demo(partial)
    for real_set in SETS:
        write_set(real_set, real, partial)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    real, out = real_and_out("pipelines.real_sets.make_data", __doc__, DEFAULT_FOLDER, arguments)
    make_data(real, out)
    sys.stdout.write(f"{out}: {len(SETS)} real data sets and the demo's\n")


if __name__ == "__main__":
    main()
