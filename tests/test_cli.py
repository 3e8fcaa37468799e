import subprocess
import sys

import pytest


def rspipe(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "rspipe.cli", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


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
        ("how.workers=1", "no such folder"),
    ],
)
def test_a_wrong_recipe_gives_one_message_and_exit_code_2(recipe, override, words):
    done = rspipe("curate", str(recipe), override)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr


def test_an_absent_corpus_names_the_command_that_builds_it(tmp_path):
    done = rspipe("corpus", "verify", str(tmp_path))
    assert done.returncode == 1
    assert "make curate" in done.stderr


def test_help_lists_every_verb():
    done = rspipe("--help")
    for verb in ("curate", "pretrain", "eval", "report", "doctor", "corpus"):
        assert verb in done.stdout
