# SPDX-License-Identifier: Apache-2.0
"""Help is true: its examples can be typed, and docs/cli.md is what it says."""

import shlex
from pathlib import Path

import pytest

from rspipe.cli.document import document
from tests.names import commands

VERBS = {words[1:]: command for words, command in commands() if not hasattr(command, "commands")}


def examples_of(command):
    lines = command.epilog.partition("Exit codes:")[0].splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_help_says_what_is_read_and_written_shows_examples_and_exit_codes(words):
    command = VERBS[words]
    assert "Reads " in command.help
    assert "Writes " in command.help
    assert "Exit codes:" in command.epilog
    assert 1 <= len(examples_of(command)) <= 3
    assert len(command.get_short_help_str(limit=80)) < 70


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_examples_can_be_typed_and_their_recipes_are_there(words):
    for example in examples_of(VERBS[words]):
        typed = shlex.split(example)
        rest = typed[typed.index(words[0]) :]
        assert tuple(rest[: len(words)]) == words, example
        context = VERBS[words].make_context("rspipe", rest[len(words) :])
        assert not context.args
        recipes = [word for word in rest if word.startswith("pipelines/")]
        assert all(Path(recipe).is_file() for recipe in recipes), example


def test_the_document_is_what_the_command_line_says():
    assert Path("docs/cli.md").read_text() == document(), (
        "run `python -m rspipe.cli.document > docs/cli.md`"
    )
