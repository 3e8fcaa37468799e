# SPDX-License-Identifier: Apache-2.0
"""What the tests of whole, tiny curations share."""

import shutil

import pytest

from tests.curation import Curation


@pytest.fixture(scope="session")
def tiny_native(demo_native, tmp_path_factory):
    """24 real chips in one dataset, and a scene."""
    folder = tmp_path_factory.mktemp("tiny") / "native"
    (folder / "chips").mkdir(parents=True)
    chips = sorted(demo_native.glob("demo_chips/*/*.jpg"))
    for path in chips[:: len(chips) // 24][:24]:
        shutil.copy(path, folder / "chips" / f"{path.parent.name}-{path.name}")
    (folder / "scenes").mkdir()
    scenes = sorted(
        (demo_native / "demo_scenes").rglob("*.tif"), key=lambda path: path.stat().st_size
    )
    shutil.copy(scenes[0], folder / "scenes")
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_native, tmp_path_factory):
    """The tiny data sets, curated once, undisturbed."""
    curation = Curation(
        tmp_path_factory.mktemp("tiny") / "c", tiny_native, workers=1, files_per_partition=4
    )
    curation.run()
    return curation
