# SPDX-License-Identifier: Apache-2.0
"""The site builds, strictly: every page has its place, every link and anchor leads somewhere."""

import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from tests.docs.pages import ROOT, pages

OFFLINE = re.compile(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']?(?:https?:)?//[^\"' >]*")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    try:
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    except Abort as error:
        pytest.fail(f"make docs names the links that are broken: {error}")
    return folder


def test_every_page_is_on_the_site(site):
    on_site = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    for page in pages():
        if page == "README.md":
            continue
        name = page.removeprefix("docs/").removesuffix(".md")
        assert re.sub(r"README$", "index", name) in on_site, page
    for notebook in ROOT.glob("notebooks/*.ipynb"):
        assert f"notebooks/{notebook.stem}" in on_site, notebook


def test_nothing_is_fetched_to_read_it(site):
    for page in site.rglob("*.html"):
        assert not OFFLINE.findall(page.read_text()), page


def test_links_of_the_readme_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text())
    assert links
    for link in links:
        assert "://" in link or (ROOT / link).exists(), link
