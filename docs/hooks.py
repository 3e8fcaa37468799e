# SPDX-License-Identifier: Apache-2.0
"""What the site needs beyond docs/: recipes' pages, changelog, notebooks, and links that fit.

Pages link to each other as they lie in the repository, so that they work there, too. A link to a
page of the site is bent to where the page stands on it; one to another file of the repository
becomes its bare name; one to nothing is left for the strict build to refuse.
"""

import posixpath
import re
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebook_pages import NOTEBOOKS, page, ran

ROOT = Path(__file__).parents[1]
OUTSIDE = ("pipelines/*/README.md", "CHANGELOG.md")
"""Pages that lie outside docs/."""
LINK = re.compile(
    r"(?P<text>!?\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\])\((?P<to>[^)\s#]*)(?P<at>#[^)\s]*)?\)"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/, and the notebooks."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for path in NOTEBOOKS:
        text, pictures = page(ran(path) or nbformat.read(path, as_version=4), path.stem)
        for name, content in {f"{path.stem}.md": text, **pictures}.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Bend the links of a page."""
    here = page.file.src_uri
    folder = posixpath.dirname(here if is_outside(here) else f"docs/{here}")

    def bent(link: re.Match[str]) -> str:
        to = link["to"]
        if not to or "://" in to or to.startswith("mailto:"):
            return link[0]
        path = posixpath.normpath(posixpath.join(folder, to))
        target = page_of(path)
        if target in files.src_uris:
            there = posixpath.relpath(target, posixpath.dirname(here) or ".")
            return f"{link['text']}({there}{link['at'] or ''})"
        return link["text"][1:-1] if (ROOT / path).exists() else link[0]

    return LINK.sub(bent, markdown)


def page_of(path: str) -> str:
    """Name of a repository's file or folder on the site."""
    if (ROOT / path).is_dir():
        path = posixpath.join(path, "README.md")
    if path.endswith(".ipynb"):
        path = path.removesuffix("ipynb") + "md"
    return path.removeprefix("docs/")


def is_outside(page: str) -> bool:
    """Whether a page of the site lies outside docs/."""
    patterns = (*OUTSIDE, "notebooks/*")
    return (
        any(Path(page).match(pattern) for pattern in patterns)
        and not (ROOT / "docs" / page).exists()
    )
