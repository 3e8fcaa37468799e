# SPDX-License-Identifier: Apache-2.0
"""Pages of the documentation, and what each of their code blocks asks for.

A fenced block of bash, python or yaml is run (bash, python) or read as what its title says it is
(yaml). A comment of its own on the line above says otherwise:

    <!-- not run: REASON -->   bash and python are parsed, rspipe's commands against the real ones
    <!-- exits with 1 -->      so does the last command of a bash block
    <!-- part of: VERB -->     a yaml block is a part of that verb's recipe, or of a `card`
    <!-- prints -->            a text block is what the block before prints; … is anything
    <!-- prints like -->       likewise, but numbers may be others (pages tell of more data)
    <!-- before: COMMAND -->   anywhere: run at this place, and not shown

A title names the file that a block is: ```yaml title="mine/dataset.yaml". It is written there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sybil import Document, Region
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/*.md", "docs/*/*.md", "pipelines/*/README.md")
_INFO = re.compile(r"(?P<language>\w*)(?: +title=\"(?P<title>[^\"]+)\")?[ \t]*\n")
_MARK = re.compile(r"<!-- ([a-z ]+?)(?::\s*(.*?))?(?: (\d+))? -->\n\Z", re.DOTALL)
_BEFORE = re.compile(r"^<!-- before:\s(.*?)\s-->$", re.DOTALL | re.MULTILINE)
MARKS = ("not run", "exits with", "part of", "prints", "prints like")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    source: str
    title: str | None = None
    mark: str | None = None
    said: str | None = None
    """What the mark says: the reason, the verb."""
    code: int = 0
    """Exit code of its last command."""

    @property
    def runs(self) -> bool:
        return self.mark != "not run"


def pages() -> list[str]:
    """Every page, as the repository names it."""
    return sorted(
        path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern)
    )


def blocks_of(document: Document) -> Iterable[Region]:
    """Parse a page: a Sybil parser whose regions hold a `Block`."""
    for region in RawFencedCodeBlockLexer(_INFO)(document):
        before = document.text[: region.start]
        mark = _MARK.search(before[before.rfind("<!--") :]) if "<!--" in before else None
        kind, said, code = mark.groups() if mark and mark[1] != "before" else (None, None, None)
        source = region.lexemes["source"]
        title = region.lexemes["title"]
        region.parsed = Block(region.lexemes["language"], source, title, kind, said, int(code or 0))
        yield region
    for hidden in _BEFORE.finditer(document.text):
        region = Region(hidden.start(), hidden.end())
        region.parsed = Block("bash", hidden[1])
        yield region
