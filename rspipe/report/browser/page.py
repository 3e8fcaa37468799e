# SPDX-License-Identifier: Apache-2.0
"""The page around its data: one file that fetches nothing and runs no script but its own.

File names, labels and attributions come from strangers. The data are JSON that cannot close its
element, the script writes them as text only, and the page's policy refuses any other script.
"""

import base64
import hashlib
import json
from typing import Any

from markupsafe import Markup

from rspipe.report.build import environment

_SCRIPTS = ("data.js", "filters.js", "grid.js", "matches.js", "map.js", "story.js", "main.js")


def render(payload: dict[str, Any]) -> str:
    """Return the page as text.

    Args:
        payload: what `payload_of` gives.
    """
    templates = environment()
    pictures = payload.pop("pictures")
    style = _source("page.css")
    script = "\n".join(_source(name) for name in _SCRIPTS)
    return templates.get_template("browser/page.html.j2").render(
        name=payload["corpus"]["name"],
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own files
        data=Markup(embed(payload)),  # noqa: S704 - no sign in it that ends or begins an element
        pictures=Markup(embed(pictures)),  # noqa: S704 - likewise
    )


def embed(value: Any) -> str:
    r"""Write JSON for a script element: no `<` and `&` in it, so nothing in it can end the element.

    >>> print(embed("</script>"))
    "\u003c/script\u003e"
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _source(name: str) -> str:
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), f"browser/{name}")[0]


def _policy(style: str, script: str) -> str:
    """Allow this style, this script and pictures inside the page, and nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
