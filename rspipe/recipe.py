# SPDX-License-Identifier: Apache-2.0
"""Recipes: YAML read into strict typed models, overridden by `key=value`, hashed into fingerprints.

A recipe separates `what` (it changes results, and is fingerprinted) from `how` (workers, devices:
it changes only speed). The models themselves stand beside the verb they steer
(`curate/config.py`, `train/config.py`, `evaluate/config.py`). A recipe may extend others.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from rspipe.errors import RecipeError

ModelT = TypeVar("ModelT", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but `1e-3` is a number, as every user means it."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(text: str) -> Any:
    """Read YAML without executing anything.

    >>> read_yaml("lr: 1e-3")
    {'lr': 0.001}
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader


class Strict(BaseModel):
    """A model that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def fingerprint(*parts: Any) -> str:
    """Hash JSON-able values into 16 hex digits: equal values, equal fingerprint, on any machine.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    plain = [p.model_dump(mode="json") if isinstance(p, BaseModel) else p for p in parts]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def load_recipe(path: Path, model: type[ModelT], overrides: Sequence[str] = ()) -> ModelT:
    """Read a recipe, and those it extends, and check every key of it.

    Args:
        path: a YAML file.
        model: the strict model to read it into.
        overrides: `dotted.key=value`; the value is read as YAML.

    Raises:
        RecipeError: a file is missing or is no YAML mapping, recipes extend each other in a circle,
            a key is unknown (the message carries the nearest valid name), or a value has the wrong
            type.
    """
    data = read_recipe(path)
    for override in overrides:
        _apply_override(data, override)
    return validate(data, model, origin=str(path))


def read_recipe(path: Path, _chain: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a recipe as a mapping, laid over those that its key `extends` names.

    `extends` is one file or a list of files, beside the recipe; later ones go over earlier ones.
    See `laid_over` for what that means. Nothing is checked but the form.

    Raises:
        RecipeError: a file is missing or is no YAML mapping, or recipes extend each other in a
            circle.
    """
    chain = (*_chain, path.resolve())
    if path.resolve() in _chain:
        circle = " -> ".join(str(p) for p in chain[chain.index(path.resolve()) :])
        raise RecipeError(f"{path}: recipes extend each other in a circle: {circle}")
    if not path.is_file():
        near = nearest_name(str(path), map(str, _recipes_near(path)))
        named = f"; {_chain[-1]} extends it" if _chain else ""
        raise RecipeError(f"{path}: no such recipe{near}{named}")
    try:
        data = read_yaml(path.read_text())
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys to values")
    below: dict[str, Any] = {}
    for name in _extended(data.pop("extends", []), path):
        below = laid_over(below, read_recipe(path.parent / name, chain))
    return laid_over(below, data)


def _recipes_near(path: Path) -> list[Path]:
    """List recipes beside a path that is not there, else below the folder above it that is."""
    beside = list(path.parent.glob("*.yaml"))
    if beside:
        return beside
    above = next((p for p in path.parents if p.is_dir()), Path())
    return [*above.glob("*/*.yaml"), *Path("pipelines").glob("*/*.yaml")]


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another: sections key by key, all else replaced.

    A section that has another `name` than the one below it replaces it, too, as objectives share
    no dials.

    >>> laid_over({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    >>> laid_over({"a": {"name": "mae", "c": 2}}, {"a": {"name": "simmim"}})
    {'a': {'name': 'simmim'}}
    """
    merged = dict(below)
    for key, value in above.items():
        old = below.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and not _renames(old, value):
            merged[key] = laid_over(old, value)
        else:
            merged[key] = value
    return merged


def _renames(below: dict[str, Any], above: dict[str, Any]) -> bool:
    return "name" in below and "name" in above and below["name"] != above["name"]


def _extended(value: Any, path: Path) -> list[str]:
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in names):
        raise RecipeError(
            f"{path}: extends={value!r}: want the name of a recipe, or a list of them"
        )
    return names


def validate(data: dict[str, Any], model: type[ModelT], origin: str) -> ModelT:
    """Check a mapping against a strict model.

    Raises:
        RecipeError: listing every wrong key, one line each, with the nearest valid name.
    """
    try:
        # Through JSON: YAML lists may then fill tuples while numbers and strings stay strict.
        return model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        lines = [_explain(problem, model) for problem in error.errors()]
        raise RecipeError("\n".join(f"{origin}: {line}" for line in lines)) from error


def _apply_override(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"{override!r}: an override is key=value, e.g. how.workers=2")
    try:
        value = read_yaml(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{override!r}: the value is not valid YAML") from error
    *parents, last = key.split(".")
    for parent in parents:
        step = data.setdefault(parent, {})
        if not isinstance(step, dict):
            raise RecipeError(f"{override!r}: {parent!r} holds a value, not a section")
        data = step
    data[last] = value


def _explain(problem: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        names = _field_names(model, problem["loc"][:-1])
        return f"unknown key {where!r}{nearest_name(str(problem['loc'][-1]), names)}"
    if problem["type"] == "missing":
        return f"missing key {where!r}"
    why = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {why} (got {problem['input']!r})"


def _field_names(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Names that are valid at a place of the model."""
    models: list[type[BaseModel]] = [model]
    for step in loc:
        models = [
            inner
            for outer in models
            if isinstance(step, str) and step in outer.model_fields
            for inner in _models_in(outer.model_fields[step].annotation)
        ] or models
    return sorted({name for m in models for name in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, list, tuple, dict) or get_args(annotation):
        return [m for arg in get_args(annotation) for m in _models_in(arg)]
    return []


def nearest_name(name: str, valid: Iterable[str]) -> str:
    """End an error message with the nearest valid name, or with all of them.

    >>> nearest_name("mea", ["mae", "selective_mae"])
    "; did you mean 'mae'?"
    """
    valid = sorted(valid)
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid: {', '.join(valid)}" if valid else ""
