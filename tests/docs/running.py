# SPDX-License-Identifier: Apache-2.0
"""Runs a page's blocks, in order, in one folder, as a reader would who copies them."""

import contextlib
import doctest
import importlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator

from rspipe import cli
from rspipe.plugins import plugins
from rspipe.readers import all_readers
from tests.docs.commands import arguments, check_commands, check_file, check_recipe, statements
from tests.docs.pages import MARKS, ROOT, Block, blocks_of

PROSE = ("text", "toml", "json", "")
"""Languages of blocks that are only looked at."""


class Page:
    """A page under test, and the folder that its reader is in."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._printed = ""
        self._installed = folder / "installed"
        """Where pip puts what the page installs."""
        self.document = Document.parse(str(ROOT / name), self._parse)

    def _parse(self, document: Document) -> Iterator:
        for region in blocks_of(document):
            region.evaluator = self._evaluate
            yield region

    @property
    def runs(self) -> bool:
        """Whether any block of it is run."""
        blocks = (example.parsed for example in self.document)
        return any(block.runs and block.language in {"bash", "python"} for block in blocks)

    def try_out(self) -> None:
        """Evaluate every block.

        Raises:
            AssertionError: a block is not as the page says; it names page and line.
        """
        with contextlib.chdir(self.folder), mock.patch.object(sys, "path", [*sys.path]):
            sys.path.insert(0, str(self._installed))
            try:
                for example in self.document:
                    example.evaluate()
            finally:
                forget_plugins()

    def _evaluate(self, example: Example) -> str | None:
        block: Block = example.parsed
        if block.mark is not None and block.mark not in MARKS:
            return f"no mark {block.mark!r}; there are {', '.join(MARKS)}"
        if block.mark in {"not run", "part of"} and not block.said:
            return f"the mark {block.mark!r} says no more: give the reason, or the verb"
        try:
            return self._try_block(example, block)
        except Exception as error:
            error.add_note(f"{self.name}, line {example.line}")
            raise

    def _try_block(self, example: Example, block: Block) -> str | None:
        if block.title:
            self._write(block)
        if block.language == "bash":
            return self._try_bash(block)
        if block.language == "console":
            prompts = (line for line in block.source.splitlines() if line.startswith("$ "))
            check_commands("\n".join(line[2:] for line in prompts), self.folder)
            return None
        if block.language == "python":
            return self._try_python(example, block)
        if block.language == "yaml":
            return self._try_yaml(block)
        if block.mark == "prints":
            return differs(block.source, self._printed)
        if block.mark == "prints like":
            return differs(numberless(block.source), numberless(self._printed))
        return why_not_prose(block)

    def _write(self, block: Block) -> None:
        path = self.folder / str(block.title)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.source)

    def _try_yaml(self, block: Block) -> None:
        if block.mark == "part of":
            check_recipe(block.source, str(block.said))
        elif block.title:
            check_file(self.folder / block.title)
        else:
            raise AssertionError(
                'say what it is: title="…/dataset.yaml", or <!-- part of: VERB -->'
            )

    def _try_python(self, example: Example, block: Block) -> str | None:
        if not block.runs:
            compile(block.source, self.name, "exec")
            return None
        if block.title:
            return None  # a module, which later blocks import
        out = io.StringIO()
        example.parsed = example.region.lexemes["source"]
        with contextlib.redirect_stdout(out):
            PythonEvaluator()(example)
        self._printed = out.getvalue()
        return None

    def _try_bash(self, block: Block) -> str | None:
        if block.title or not block.runs:
            subprocess.run(["bash", "-n"], input=block.source, text=True, check=True)
        check_commands(block.source, self.folder)
        if block.title or not block.runs:
            return None
        code, self._printed = run_bash(block.source, self._installed)
        if self._installed.exists():
            forget_plugins()
        if code != block.code:
            return f"exit code {code}, not {block.code}; it printed\n{self._printed}"
        return None


def forget_plugins() -> None:
    """Look for plug-ins anew where they are next asked for."""
    importlib.invalidate_caches()
    plugins.cache_clear()
    all_readers.cache_clear()


def why_not_prose(block: Block) -> str | None:
    """Say what is wrong with a block that is neither run nor read."""
    if block.language not in PROSE:
        return f"blocks of {block.language!r} are not known here"
    commands = ("rspipe ", "make ", "$ ", "pip ", "python ")
    shown = [line for line in block.source.splitlines() if line.startswith(commands)]
    if shown and block.language == "":
        return f"a command in a block without a language: {shown[0]!r}; write ```bash"
    return None


def differs(shown: str, printed: str) -> str | None:
    """Compare what a page shows with what was printed; `…` stands for anything."""
    want = shown.replace("…", "...")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if doctest.OutputChecker().check_output(want, printed, flags):
        return None
    return f"shown:\n{shown}\nprinted:\n{printed}"


def numberless(text: str) -> str:
    """Write # for every number, wherever it stands.

    >>> numberless("2,641 tiles in 12.8 s")
    '# tiles in # s'
    """
    return re.sub(r"\d+(,\d{3})*(\.\d+)?", "#", text)


def run_bash(source: str, installed: Path) -> tuple[int, str]:
    """Run a block: in this process if it only calls rspipe (torch is imported once), else in bash.

    Args:
        source: the block.
        installed: where pip installs to; once it has, this process knows too little.

    Returns:
        The exit code of the first command that fails, or 0; and what was printed, errors included
        and progress bars not.
    """
    calls = [arguments(words) for words in statements(source)]
    plain = not installed.exists() and not set(source.replace("\\\n", " ")) & set("|&;<>$`*")
    if plain and all(words[0] == "rspipe" for words in statements(source)):
        printed = ""
        for call in calls:
            code, text = run_rspipe(call or [])
            printed += text
            if code:
                return code, printed
        return 0, printed
    env = {
        **os.environ,
        # The environment's own rspipe, pip and python go first.
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{installed}:{ROOT}",
        # Nothing is fetched, and the environment stays as it is.
        **{"PIP_TARGET": str(installed), "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"},
    }
    command = ["bash", "-euo", "pipefail", "-c", source]
    child = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return child.returncode, child.stdout + told(child.stderr)


def run_rspipe(call: list[str]) -> tuple[int, str]:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["rspipe", *call]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
    return int(str(code)), out.getvalue() + told(err.getvalue())


PROGRESS = re.compile(r"%\||it/s\]|, [\d:]+ gone, ")
"""What a bar, or the line that stands for one where no terminal is, holds and nothing else does."""


def told(stderr: str) -> str:
    """Return the lines of standard error that tell no progress: a slow machine prints more of them.

    >>> told("a\\nslice: 3 of 9 (33 %), 00:11 gone, 00:22 left,  3.67s/it\\nb\\n")
    'a\\nb\\n'
    """
    lines = (line.rpartition("\r")[2] for line in stderr.splitlines())
    return "".join(f"{line}\n" for line in lines if not PROGRESS.search(line))
