# SPDX-License-Identifier: Apache-2.0
"""JSON from strangers, gigabytes of it: parsed once, shrunk while it is parsed."""

import json
from collections.abc import Callable
from typing import Any

from rspipe.errors import ReaderError
from rspipe.readers.tree import FileTree

MOST_JSON_BYTES = 2 * 2**30
"""Larger files are not read; two to three times their size in memory is needed."""


def load_json(
    tree: FileTree, path: str, shrink: Callable[[dict[str, Any]], Any] | None = None
) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        tree: the dataset's files.
        path: the file.
        shrink: called for every object as soon as it is parsed; what it returns is kept instead.

    Raises:
        ReaderError: too large, not JSON, nested too deeply, or no object.
    """
    text = tree.read_text(path, MOST_JSON_BYTES + 1)
    if len(text) > MOST_JSON_BYTES:
        raise ReaderError(f"larger than {MOST_JSON_BYTES:,} bytes: split it")
    return parse_json(text, shrink)


def parse_json(text: str, shrink: Callable[[dict[str, Any]], Any] | None = None) -> dict[str, Any]:
    """Parse JSON that holds an object; see `load_json`.

    Raises:
        ReaderError: not JSON, nested too deeply, or no object.
    """
    try:
        data = json.loads(text.lstrip("\ufeff"), object_hook=shrink)
    except RecursionError as error:
        raise ReaderError("not usable JSON: nested too deeply") from error
    except ValueError as error:  # also of integers with thousands of digits
        raise ReaderError(f"not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise ReaderError(f"not usable JSON: a {type(data).__name__}, not an object")
    return data
