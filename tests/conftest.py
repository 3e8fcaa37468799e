"""What all tests share: the demo's native data, written once, and the command line's switches."""

import os
from pathlib import Path

import pytest


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
    """The demo's native data sets: real imagery, from an installed package."""
    from pipelines.demo.make_data import make_data

    folder = tmp_path_factory.mktemp("demo") / "native"
    make_data(folder)
    return folder
