# SPDX-License-Identifier: Apache-2.0
"""Command lines of the documentation, held against the real commands, recipes and make targets."""

import importlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click
from typer.main import get_command

from rspipe.catalog import card_of
from rspipe.cli import app
from rspipe.readers import FileTree, Storage, read_dataset
from rspipe.recipe import Strict, laid_over, load_recipe, read_recipe, read_yaml, validate
from tests.docs.pages import ROOT

RECIPES = {
    "curate": "rspipe.curate.config.CurateRecipe",
    "pretrain": "rspipe.train.config.PretrainRecipe",
    "eval": "rspipe.evaluate.config.EvalRecipe",
    "compare": "rspipe.compare.config.CompareRecipe",
    "report": "rspipe.report.config.ReportRecipe",
}
_MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = frozenset(re.findall(r"^([a-z-]+):", _MAKEFILE, re.MULTILINE))
VARIABLES = frozenset(re.findall(r"\$[({]([A-Z_]+)", _MAKEFILE))
_ENDS = {"&&", "||", "|", ";", "&", ">", ">>", "2>"}


def recipe_of(verb: str) -> type[Strict]:
    """Import the model of a verb's recipe; only where a page asks, since some import torch."""
    module, _, name = RECIPES[verb].rpartition(".")
    found: type[Strict] = getattr(importlib.import_module(module), name)
    return found


def statements(source: str) -> list[list[str]]:
    """Split a bash block into commands, each into words; what follows a redirection is left out."""
    found: list[list[str]] = []
    for line in source.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in lexer:
            if word in _ENDS:
                found.append(words)
                words = []
            else:
                words.append(word)
        found.append(words)
    return [words for words in found if words]


def check_commands(source: str, folder: Path) -> None:
    """Check every call of rspipe and make in a bash block, recipes and their overrides included.

    Args:
        source: the block.
        folder: what relative recipes are looked for in.
    """
    for words in statements(source):
        if words[0] == "make":
            check_make(words[1:], folder)
        elif (call := arguments(words)) is not None:
            check_rspipe(call, folder)


def arguments(words: Sequence[str]) -> list[str] | None:
    """Return what a command gives to rspipe; None where it does not call it."""
    if words[0].endswith("rspipe"):
        return list(words[1:])
    for index, word in enumerate(words):
        if word in {"rspipe", "rspipe.cli"} and words[index - 1] == "-m":
            return list(words[index + 1 :])
    return None


def check_rspipe(call: list[str], folder: Path) -> None:
    """Parse a call as rspipe does, without running it; a recipe's values are checked, too."""
    command, parent = get_command(app), None
    name = "rspipe"
    while isinstance(command, click.Group):
        parent = click.Context(command, info_name=name, parent=parent)
        if not call or call[0].startswith("-"):
            return
        name = call.pop(0)
        found = command.get_command(parent, name)
        assert found is not None, f"rspipe has no command {name!r}"
        command = found
    params = command.make_context(name, list(call), parent=parent).params
    if name in RECIPES and params["recipe"].suffix:
        load_recipe(folder / params["recipe"], recipe_of(name), params["overrides"] or ())


def check_make(words: Sequence[str], folder: Path) -> None:
    """Check targets, variables, and the recipe that a target reads."""
    given = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word]
    assert set(targets) <= TARGETS, f"no make target {set(targets) - TARGETS}"
    assert set(given) <= VARIABLES, f"no make variable {set(given) - VARIABLES}"
    recipes = folder / "pipelines" / given.get("PIPELINE", "demo")
    for target in set(targets) & set(RECIPES):
        values = shlex.split(given.get("ARGS", ""))
        load_recipe(recipes / f"{target}.yaml", recipe_of(target), values)


def check_recipe(text: str, verb: str) -> None:
    """Read a part of a recipe, laid over the demo's, or a card."""
    if verb == "card":
        card_of("page", "name: page\n" * ("name:" not in text) + text, "card")
        return
    below = read_recipe(ROOT / "pipelines/demo" / f"{verb}.yaml")
    validate(laid_over(below, read_yaml(text)), recipe_of(verb), origin="block")


def check_file(path: Path) -> None:
    """Read a YAML file that a page writes, as what its name says it is."""
    verb = path.stem.rpartition("_")[2]
    if path.name == "dataset.yaml":
        card = card_of(path.parent.name, path.read_text(), str(path))
        # Its layout and options, too: of a set without a file, as no list need be there.
        read_dataset(FileTree(Storage(str(path.parent)), ()), card)
    elif verb in RECIPES:
        load_recipe(path, recipe_of(verb))
    else:
        raise AssertionError(f"{path.name}: neither dataset.yaml nor a verb's recipe")
