# SPDX-License-Identifier: Apache-2.0
"""The page around its data: one file that fetches nothing and runs no script but its own.

File names, labels and attributions come from strangers. The data are JSON that cannot close its
element, the script writes them as text only, and the page's policy refuses any other script.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from rspipe.report.build import environment

_NOTHING_BYTES, _QUOTES_BYTES = 5, 3
"""Of JSON: `null` and a comma; two quotes and a comma."""
_SCRIPTS = ("data.js", "filters.js", "grid.js", "matches.js", "map.js", "story.js", "main.js")


@dataclass(frozen=True)
class Page:
    """One HTML file."""

    text: str
    left_out: int
    """Pictures that it has no room for."""


def render(payload: dict[str, Any], most_bytes: int) -> Page:
    """Fill the page, with pictures from the first row on as long as there is room.

    Args:
        payload: what `payload_of` gives.
        most_bytes: that the page should not exceed; its data are never left out.
    """
    style = _source("palette.css") + _source("browser/page.css")
    script = "\n".join(_source(f"browser/{name}") for name in _SCRIPTS)
    every = payload["pictures"]
    data = embed({name: value for name, value in payload.items() if name != "pictures"})

    def filled(data: str, pictures: str, left_out: int) -> str:
        return (
            environment()
            .get_template("browser/page.html.j2")
            .render(
                name=payload["corpus"]["name"],
                policy=_policy(style, script),
                style=Markup(style),  # noqa: S704 - our own file
                script=Markup(script),  # noqa: S704 - our own files
                data=Markup(data),  # noqa: S704 - no sign in it that ends or begins an element
                pictures=Markup(pictures),  # noqa: S704 - likewise
                left_out=left_out,
            )
        )

    frame = filled("", "", len(every))
    pictures = fitting(every, most_bytes - len(frame.encode()) - len(data.encode()))
    left_out = sum(a != b for a, b in zip(pictures, every, strict=True))
    return Page(filled(data, embed(pictures), left_out), left_out)


def fitting(pictures: Sequence[str | None], room_bytes: int) -> list[str | None]:
    """Keep pictures from the first on; from the one that is too much, none.

    >>> fitting(["picture", None, "another", "f"], 27)
    ['picture', None, None, None]
    """
    sizes = [_NOTHING_BYTES if one is None else len(one) + _QUOTES_BYTES for one in pictures]
    # A picture that is left out still takes the room of a null.
    used = _NOTHING_BYTES * len(pictures) + np.cumsum(np.array(sizes) - _NOTHING_BYTES)
    has_room = np.logical_and.accumulate(used < room_bytes).tolist()
    return [one if fits else None for one, fits in zip(pictures, has_room, strict=True)]


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
    return loader.get_source(environment(), name)[0]


def _policy(style: str, script: str) -> str:
    """Allow this style, this script and pictures inside the page, and nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
