# SPDX-License-Identifier: Apache-2.0
"""The starting recipes that `rspipe init` writes: one per verb, `NAME` and `DATA` filled in."""

import json
import re
from importlib import resources
from pathlib import Path

from rspipe.errors import RecipeError

STARTERS = ("curate.yaml", "pretrain.yaml", "eval.yaml", "report.yaml")
"""In the order in which they are used."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def write_recipes(folder: Path, data: str) -> list[Path]:
    """Write all starting recipes into a folder.

    Args:
        folder: made where it is not there; its last part names corpus, run and results.
        data: folder or URL of native data sets.

    Returns:
        The files, in the order in which they are used.

    Raises:
        RecipeError: one of them is there already, or the folder's name is not fit to be a name.
    """
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise RecipeError(
            f"{folder}: {name!r} is to name corpus and run; want letters, digits, and inside . _ -"
        )
    paths = [folder / starter for starter in STARTERS]
    for path in paths:
        if path.exists():
            raise RecipeError(f"{path} is there already; name another folder, or move it away")
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        path.write_text(starter(path.name, name, data))
    return paths


def starter(file: str, name: str, data: str) -> str:
    """Fill a name and a data folder into one starting recipe.

    >>> starter("report.yaml", "mine", "/data").splitlines()[2]
    'name: mine'
    """
    text = (resources.files(__name__) / file).read_text()
    # A JSON string is a YAML string: a path may hold anything.
    return text.replace("NAME", name).replace("DATA", json.dumps(data))
