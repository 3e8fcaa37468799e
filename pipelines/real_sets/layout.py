# SPDX-License-Identifier: Apache-2.0
"""What the programs that lay real sets out share: their two folders, and one set with its card."""

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from pipelines.real_sets.sets import RealSet
from rspipe.catalog import CARD_NAME


def write_set(real_set: RealSet, real: Path, out: Path, part: str = ".") -> None:
    """Copy a data set's files byte for byte, and write its card beside them.

    Args:
        real_set: what is copied.
        real: folder of the real data sets; nothing is written to it.
        out: gets a folder of the set's name.
        part: folder of the set that alone is copied, to its own path.

    Raises:
        FileNotFoundError: the data set is missing.
    """
    source = real / real_set.source
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: no such folder; {real} should hold {real_set.source}")
    folder = out / real_set.name
    # Contents only: the modes of a read-only source would make the copy read-only too.
    for path in sorted(p for p in (source / part).rglob("*") if p.is_file()):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    card = real_set.card().model_dump(mode="json", exclude_defaults=True)
    (folder / CARD_NAME).write_text(yaml.safe_dump(card, sort_keys=False))


def real_and_out(
    program: str, description: str | None, default: Path, arguments: Sequence[str] | None
) -> tuple[Path, Path]:
    """Read the command line `REAL OUT`: both may be left out where RSPIPE_REAL_DATA is set."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    named = os.environ.get("RSPIPE_REAL_DATA")
    parser.add_argument("real", type=Path, nargs="?", default=named)
    parser.add_argument("out", type=Path, nargs="?", default=default)
    chosen = parser.parse_args(arguments)
    if chosen.real is None:
        parser.error("name a folder of real data sets, or set RSPIPE_REAL_DATA")
    return chosen.real, chosen.out
