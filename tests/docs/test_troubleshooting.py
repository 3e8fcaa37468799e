"""docs/troubleshooting.md quotes what the code says, and leaves out no kind of error."""

import ast
import re

import pytest

from rspipe import errors
from tests.docs.pages import ROOT

TEXT = (ROOT / "docs/troubleshooting.md").read_text()
CELLS = [
    line.split(" | ")[0].removeprefix("| ")
    for line in TEXT.splitlines()
    if line.startswith("| `") and "| cause |" not in line
]
# A message is in backticks; one that holds backticks itself ends at those before the next cell.
QUOTED = [match[1] for cell in CELLS if (match := re.search(r"`([^`].*…?.*)`", cell))]


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
    # `reason`: `detail` in one cell: the detail is the message.
    words = [part for part in message.split("`: `")[-1].split("…") if part.strip(" ;:,.?)(`")]
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
