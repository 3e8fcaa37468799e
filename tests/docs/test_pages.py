# SPDX-License-Identifier: Apache-2.0
"""Every code block of the documentation runs, or is at least held against the code (pages.py)."""

import shutil
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages
from tests.docs.running import Page

FIRST = "docs/first-corpus.md"
"""Other pages begin with the folder that its reader ends up with."""


@pytest.fixture(scope="session")
def start(tiny_native, tmp_path_factory) -> Path:
    """A folder like a fresh clone's, with the demo's data; small."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "pipelines").mkdir()
    for path in (ROOT / "pipelines").iterdir():
        (folder / "pipelines" / path.name).symlink_to(path)
    shutil.copytree(tiny_native, folder / "data/demo/native")
    return folder


@pytest.fixture(scope="session")
def after_the_first_corpus(start) -> Path:
    Page(FIRST, start).try_out()
    return start


@pytest.mark.parametrize("name", pages())
def test_blocks_of_a_page_run_or_are_checked(name, request, tmp_path):
    page = Page(name, tmp_path)
    if name == FIRST:
        request.getfixturevalue("after_the_first_corpus")
        return
    if page.runs:
        begin = request.getfixturevalue("after_the_first_corpus")
        shutil.copytree(begin, tmp_path, symlinks=True, dirs_exist_ok=True)
    else:
        (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    page.try_out()
