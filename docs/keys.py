# SPDX-License-Identifier: Apache-2.0
"""The pages of all keys, made of the models that read them: `python -m docs.keys`.

docs/card-keys.md is every key of a data set's card, docs/recipe-keys.md every key of every recipe.
What a key means is the docstring below it in the code; its type and limits are what is checked.
"""

import ast
import inspect
import json
import re
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rspipe.compare.config import CompareRecipe
from rspipe.curate.config import CurateRecipe
from rspipe.evaluate.config import EvalRecipe
from rspipe.recipe import Strict
from rspipe.report.config import ReportRecipe
from rspipe.schema import DatasetCard, Download
from rspipe.train.config import PretrainRecipe

Model = type[BaseModel]

RECIPES: dict[str, Model] = {
    "curate": CurateRecipe,
    "pretrain": PretrainRecipe,
    "eval": EvalRecipe,
    "compare": CompareRecipe,
    "report": ReportRecipe,
}
_PLAIN = {str: "text", Path: "path", int: "whole number", float: "number", bool: "true, false"}
_LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_TABLE = "| key | value | unless given | |\n|---|---|---|---|\n"

_CARD_HEAD = """\
# Every key of a card

A card is `dataset.yaml` in a data set's folder, or one of the [catalog](catalog.md)'s. Only `name`
is required. A wrong key is answered with the nearest valid one. How to write a card: [Bring your
own data set](your-own-data.md); which `options` a layout has:
[Layouts](catalog.md#how-a-card-tells-its-layout).

Made by `python -m docs.keys`; a test compares.
"""
_RECIPE_HEAD = """\
# Every key of a recipe

A recipe is YAML. `what` changes results and is fingerprinted, `how` changes only speed. Any key may
be given on the command line, too: `rspipe curate recipe.yaml what.slice.tile_px=256`. `extends:
other.yaml` (or a list) lays a recipe over others, section by section. A wrong key is answered with
the nearest valid one.

Made by `python -m docs.keys`; a test compares.
"""


def card_keys() -> str:
    """Write the page of a card's keys: those that decide first, then those that describe."""
    deciding = DatasetCard(name="x").deciding()
    rows = {key: _row(DatasetCard, key) for key in DatasetCard.model_fields}
    decide = "".join(row for key, row in rows.items() if key in deciding)
    describe = "".join(row for key, row in rows.items() if key not in deciding)
    return (
        f"{_CARD_HEAD}\n## What readers, stages and evaluators go by\n\nPart of the fingerprint: "
        f"changed, they make anew what depends on them.\n\n{_TABLE}{decide}"
        "\n## What only describes\n\nShown by `rspipe catalog show` and read by `rspipe catalog "
        f"fetch`; changed, they make nothing anew.\n\n{_TABLE}{describe}"
        f"\n## Each of `downloads`\n\n{_TABLE}{_rows(Download)}"
    )


def recipe_keys() -> str:
    """Write the page of all recipes' keys: a section per recipe, and one per part of it."""
    links: dict[Model, str] = {}
    sections = [
        section for verb, model in RECIPES.items() for section in _parts(verb, model, links)
    ]
    return _RECIPE_HEAD + "".join(
        f"\n{'##' if path == verb else '###'} {path}\n\n{_told(model)}\n\n{_TABLE}"
        f"{_rows(model, links)}"
        for verb, path, model in sections
    )


def _parts(verb: str, model: Model, links: dict[Model, str]) -> Iterator[tuple[str, str, Model]]:
    """List a recipe and its parts that no section before describes, and note where each will be."""
    waiting = [(verb, model)]
    while waiting:
        path, model = waiting.pop(0)
        if model in links:
            continue
        links[model] = "#" + re.sub(r"[^\w\s-]", "", path.lower()).replace(" ", "-")
        yield verb, path, model
        below = [
            (_below(path, key, part), part)
            for key, field in model.model_fields.items()
            for part in _models(field.annotation)
        ]
        waiting = below + waiting


def _below(path: str, key: str, part: Model) -> str:
    name = part.model_fields["name"].default if "name" in part.model_fields else None
    path = path.partition(" (")[0]
    inner = f"{path}.{key}" if ":" in path else f"{path}: {key}"
    return f"{inner} ({name})" if isinstance(name, str) else inner


def _models(kind: Any) -> list[Model]:
    """Models that occur in a type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in _models(part)]


def _told(model: Model) -> str:
    """What a model's own docstring says."""
    paragraphs = re.split(r"\n\s*\n", inspect.getdoc(model) or "")
    return "\n\n".join(_escaped(" ".join(each.split())) for each in paragraphs)


def _rows(model: Model, links: dict[Model, str] | None = None) -> str:
    return "".join(_row(model, key, links) for key in model.model_fields)


def _row(model: Model, key: str, links: dict[Model, str] | None = None) -> str:
    field = model.model_fields[key]
    cells = (f"`{key}`", _kind(field.annotation, links or {}, field.metadata), _default(field))
    return f"| {' | '.join(cells)} | {_escaped(_meaning(model, key))} |\n"


def _kind(kind: Any, links: dict[Model, str], limits: Any = ()) -> str:
    """Say in words what values a type takes."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _kind(inner[0], links, (*inner[1:], *limits))
    if origin in {Union, types.UnionType}:
        words = [_kind(part, links, limits) for part in inner if part is not type(None)]
        return " or ".join([*words, *["null"] * (type(None) in inner)])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is tuple:
        return _kind_of_list(inner, links)
    if origin is dict:
        return f"mapping of {_kind(inner[0], links)} to {_kind(inner[1], links)}"
    if kind in links:
        return f"[section]({links[kind]})"
    return _PLAIN.get(kind, "section" if _models(kind) else "anything") + _limits(limits)


def _kind_of_list(inner: tuple[Any, ...], links: dict[Model, str]) -> str:
    if inner[1:] == (...,):
        return f"list of {_kind(inner[0], links)}"
    return f"[{', '.join(_kind(part, links) for part in inner)}]"


def _limits(limits: Any) -> str:
    each = [part for limit in limits for part in getattr(limit, "metadata", [limit])]
    said = [
        f"{sign} {getattr(limit, name):g}"
        for limit in each
        for name, sign in _LIMITS.items()
        if hasattr(limit, name)
    ]
    return f" {', '.join(said)}" if said else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple) and len(value) > 10:
        return f"`{value[0]:g}` … `{value[-1]:g}`"
    return f"`{json.dumps(value, ensure_ascii=False, default=str)}`".replace("|", r"\|")


def _meaning(model: Model, key: str) -> str:
    """Find the docstring below a key, in the model or else in what it is derived from."""
    said = (_docstrings(b).get(key) for b in model.__mro__ if issubclass(b, Strict) and b != Strict)
    return next(filter(None, said), "")


def _docstrings(model: type) -> dict[str, str]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for line, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(line, ast.AnnAssign) and isinstance(below, ast.Expr):
            text = ast.literal_eval(below.value)
            found[ast.unparse(line.target)] = " ".join(text.split())
    return found


def _escaped(text: str) -> str:
    """Keep Markdown from reading anything into text outside of `code`."""
    parts = text.replace("|", r"\|").split("`")
    plain = (
        re.sub(r"([*<>])", r"\\\1", part) if i % 2 == 0 else part for i, part in enumerate(parts)
    )
    return "`".join(plain)


PAGES = {"card-keys.md": card_keys, "recipe-keys.md": recipe_keys}

if __name__ == "__main__":
    for name, write in PAGES.items():
        Path(__file__).with_name(name).write_text(write())
