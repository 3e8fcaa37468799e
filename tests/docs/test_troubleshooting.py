# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md quotes what the code says, and leaves out no kind of error."""

import ast
import re

import pytest

from rspipe import errors
from tests.docs.pages import ROOT

TEXT = (ROOT / "docs/troubleshooting.md").read_text()
ROWS = (line for line in TEXT.splitlines() if line.startswith("| `") and "| cause |" not in line)
# The longest code of a row's first cell: beside it may stand a reason's short name.
SPANS = (re.findall(r"(`+) ?(.+?) ?\1(?!`)", row[2:].split(" | ")[0]) for row in ROWS)
QUOTED = [max((span[1] for span in spans), key=len) for spans in SPANS]


def templates():
    """Every text of the code, with … for what is filled in."""
    for path in sorted((ROOT / "rspipe").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
                yield "".join(str(part) for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


TEMPLATES = sorted(set(templates()))


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_stands_in_the_code(message):
    words = [part for part in message.split("…") if part.strip(" ;:,.?)(`")]
    pattern = re.compile(".*".join(re.escape(word.strip()) for word in words), re.DOTALL)
    assert words
    assert any(pattern.search(template) for template in TEMPLATES), message


def test_every_kind_of_error_is_on_the_page():
    kinds = [
        e for e in vars(errors).values() if isinstance(e, type) and e.__module__ == "rspipe.errors"
    ]
    assert len(kinds) > 10
    for kind in kinds:
        assert kind.__name__ in TEXT or kind is errors.RspipeError, kind.__name__
