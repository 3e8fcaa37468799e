# SPDX-License-Identifier: Apache-2.0
"""What the process ends with, and what it says."""

import importlib.util
import inspect
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from rspipe import errors
from rspipe.cli import exits
from rspipe.cli.program import app, main
from rspipe.errors import CorpusError, Interrupted, RspipeError, Stopped


def rspipe(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "rspipe.cli", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def ends_with(monkeypatch, capsys, *words):
    """Run `main` here: exit code and stderr."""
    monkeypatch.setattr(sys, "argv", ["rspipe", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "curate.yaml"
    path.write_text(f"name: t\ndata: {tmp_path / 'nowhere'}\n")
    return path


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("what.dedupe.max_hamming_bits=2", "did you mean 'dedup'"),
        ("what.dedup.max_hamming_bit=2", "did you mean 'max_hamming_bits'"),
        ("how.workers=two", "valid integer"),
    ],
)
def test_a_wrong_recipe_gives_one_message_and_exit_code_2(
    monkeypatch, capsys, recipe, override, words
):
    code, said = ends_with(monkeypatch, capsys, "curate", recipe, override)
    assert code == exits.USAGE
    assert words in said
    assert said.count("error:") == 1


def test_a_missing_data_folder_ends_a_process_without_a_traceback(recipe):
    done = rspipe("curate", str(recipe), "how.workers=1")
    assert done.returncode == exits.USAGE
    assert "no such folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["curat", "x.yaml"], "Did you mean 'curate'?"),
        (["corpus", "verfy", "x"], "Did you mean 'verify'?"),
        (["curate", "--dry-rn", "x.yaml"], "--dry-run"),
        (["audit", "x", "--agaist", "y", "--out", "z"], "--against"),
        (["curate", "pipelines/demo/curat.yaml"], "did you mean 'pipelines/demo/curate.yaml'?"),
        (["curate", "pipelines/dmo/curate.yaml"], "did you mean 'pipelines/demo/curate.yaml'?"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name(monkeypatch, capsys, words, said):
    code, told = ends_with(monkeypatch, capsys, *words)
    assert code == exits.USAGE
    assert said in told


def test_an_absent_corpus_names_the_command_that_builds_it(monkeypatch, capsys, tmp_path):
    code, said = ends_with(monkeypatch, capsys, "corpus", "verify", tmp_path)
    assert code == exits.BAD_INPUT
    assert "rspipe curate" in said


def test_every_error_has_an_exit_code_that_the_table_explains():
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, RspipeError)
    ]
    assert len(kinds) > 10
    assert {kind.exit_code for kind in kinds} <= exits.EXIT_CODES.keys()
    assert Stopped("SIGINT", "").exit_code == exits.INTERRUPTED
    assert Stopped("SIGTERM", "").exit_code == exits.TERMINATED
    assert Stopped(None, "").exit_code == exits.TERMINATED


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (KeyboardInterrupt(), exits.INTERRUPTED, "the same command goes on"),
        (CorpusError("broken"), exits.BAD_INPUT, "error: broken"),
        (Stopped("SIGTERM", "stopped"), exits.TERMINATED, "error: stopped"),
        (ModuleNotFoundError("gone", name="s3fs_of_old"), exits.BUG, "please report"),
        (ModuleNotFoundError("gone", name="dask.gone"), exits.BUG, "please report"),
        (ModuleNotFoundError("gone", name="nobody"), exits.BUG, "please report"),
        (ZeroDivisionError("never"), exits.BUG, "please report"),
    ],
)
def test_what_a_verb_raises_decides_the_exit_code(monkeypatch, capsys, raised, code, words):
    def fail(*_):
        raise raised

    monkeypatch.setattr("rspipe.recipe.load_recipe", fail)
    ended, said = ends_with(monkeypatch, capsys, "report", "recipe.yaml")
    assert ended == code
    assert words in said
    assert ("Traceback" in said) is (code == exits.BUG)


def test_interrupted_is_raised_by_the_verb_itself_so_that_no_framework_can_swallow_it(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rspipe.recipe.load_recipe", stop)
    done = CliRunner().invoke(app, ["report", "recipe.yaml"])
    assert isinstance(done.exception, Interrupted)


def test_help_comes_at_once_since_nothing_heavy_is_imported():
    code = (
        "import sys; from rspipe.cli.program import app; "
        "heavy = {'numpy', 'pyarrow', 'pydantic', 'yaml', 'torch', 'dask', 'rich'}; "
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("dask.array", "`pip install 'rspipe[curate]'`"),
        ("shapely", "`pip install 'rspipe[curate]'` or `pip install 'rspipe[demo]'`"),
        ("sklearn.svm", "`pip install 'rspipe[eval]'`"),
        ("psutil", "`pip install 'rspipe[curate]'`"),
    ],
)
def test_an_absent_package_is_answered_with_the_extras_that_bring_it(
    monkeypatch, capsys, module, said
):
    def fail(*_):
        raise ModuleNotFoundError("gone", name=module)

    find = importlib.util.find_spec
    root = module.partition(".")[0]
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *of: None if name == root else find(name, *of)
    )
    monkeypatch.setattr("rspipe.recipe.load_recipe", fail)
    ended, printed = ends_with(monkeypatch, capsys, "report", "recipe.yaml")
    assert ended == exits.MISSING
    assert f"error: {module} is not installed; {said}\n" == printed
