# SPDX-License-Identifier: Apache-2.0
"""A tenth of the demo, for pages whose commands are those of the whole one."""

import json
import shutil
from pathlib import Path

import pytest

EVERY = {"demo_chips": 4, "demo_coasts": 8, "demo_landcover": 8, "demo_islands": 8}
"""Of how many images one is kept; and all that is planted."""


@pytest.fixture(scope="session")
def tiny_native(demo_native, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "native"
    planted = json.loads((demo_native / "planted.json").read_text())
    told = {f"{fault['dataset']}/{fault['source_path']}" for fault in planted}
    told |= {fault["original"] for fault in planted}
    for path in sorted(demo_native.rglob("*")):
        name = path.relative_to(demo_native).as_posix()
        if path.is_file() and (name in told or is_kept(name, demo_native)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
    return folder


def is_kept(name: str, native: Path) -> bool:
    data_set, _, path = name.partition("/")
    if data_set == "demo_scenes":
        return path.endswith(".yaml") or (native / name).stat().st_size < 140_000
    if not path.endswith((".jpg", ".png", ".xml")) or data_set not in EVERY:
        return True
    # An image, its mask and its boxes have one stem.
    return sum(Path(name).stem.encode()) % EVERY[data_set] == 0
