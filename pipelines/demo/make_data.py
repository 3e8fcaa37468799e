# SPDX-License-Identifier: Apache-2.0
"""Makes the demo's native data: `python -m pipelines.demo.make_data data/demo/native`.

Needs no network and half a minute on two cores. The same bytes come out every time; a second
run sees the mark of the first and stops at once.
"""

import argparse
import hashlib
import json
import shutil
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

VERSION = 1
"""Raise it to have everything written anew although no source file changed."""

DEFAULT_FOLDER = Path("data/demo/native")
MARK = ".complete.json"


def echo(text: str) -> None:
    """Tell the user something."""
    sys.stdout.write(text + "\n")


def settings() -> dict[str, str | int]:
    """What decides the bytes: our own source files and the versions of what they call."""
    sources = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(path.name.encode() + b"\0" + path.read_bytes())
    packages = ("basemap-data", "numpy", "pillow", "rasterio", "scipy", "shapely")
    versions = {package: version(package) for package in packages}
    return {"version": VERSION, "sources_sha256": sources.hexdigest(), **versions}


def is_complete(folder: Path) -> bool:
    """Whether a finished run with the same settings wrote this folder."""
    mark = folder / MARK
    return mark.is_file() and json.loads(mark.read_text()) == settings()


def make_data(folder: Path) -> Counter[str]:
    """Write everything beside `folder` first and move it there when it is complete.

    Raises:
        FileExistsError: the folder holds something which this command did not write.
    """
    # Imported late: rasterio and friends are slow, and "already there" must answer at once.
    from pipelines.demo.native import write_native

    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise FileExistsError(f"{folder} holds other files; empty it or name another folder")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    counts = write_native(partial)
    (partial / MARK).write_text(json.dumps(settings(), indent=2) + "\n")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    return counts


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="pipelines.demo.make_data", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT_FOLDER)
    folder: Path = parser.parse_args(arguments).folder
    if is_complete(folder):
        echo(f"{folder}: already there")
        return
    start_s = time.monotonic()
    counts = make_data(folder)
    for name, count in counts.items():
        echo(f"{name:16} {count:5d}")
    echo(f"{folder}: written in {time.monotonic() - start_s:.1f} s")


if __name__ == "__main__":
    main()
