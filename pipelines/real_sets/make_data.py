# SPDX-License-Identifier: Apache-2.0
"""Lays out the real data sets with their cards: `python -m pipelines.real_sets.make_data REAL OUT`.

REAL is a folder of real data sets in their published layouts (default: what the environment's
RSPIPE_REAL_DATA names). Files are copied byte for byte; what is added is a `dataset.yaml` each,
which says who is held out. The demo's own data sets are written beside them.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

import yaml

from pipelines.demo.make_data import make_data as make_demo
from pipelines.real_sets.sets import SETS, RealSet
from rspipe.catalog import CARD_NAME

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
        _write(real_set, real, partial)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def _write(real_set: RealSet, real: Path, out: Path) -> None:
    source = real / real_set.source
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: no such folder; {real} should hold {real_set.source}")
    folder = out / real_set.name
    # Contents only: the modes of a read-only source would make the copy read-only too.
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    text = yaml.safe_dump(
        real_set.card().model_dump(mode="json", exclude_defaults=True), sort_keys=False
    )
    (folder / CARD_NAME).write_text(text)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="pipelines.real_sets.make_data", description=__doc__)
    named = os.environ.get("RSPIPE_REAL_DATA")
    parser.add_argument("real", type=Path, nargs="?", default=named)
    parser.add_argument("out", type=Path, nargs="?", default=DEFAULT_FOLDER)
    chosen = parser.parse_args(arguments)
    if chosen.real is None:
        parser.error("name a folder of real data sets, or set RSPIPE_REAL_DATA")
    make_data(chosen.real, chosen.out)
    sys.stdout.write(f"{chosen.out}: {len(SETS)} real data sets and the demo's\n")


if __name__ == "__main__":
    main()
