# SPDX-License-Identifier: Apache-2.0
"""`--dry-run` says what is done and what is not, and writes nothing."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rspipe.cli import app
from rspipe.evaluate.cells import CellStore
from rspipe.evaluate.config import EvalRecipe
from rspipe.evaluate.runner import evaluate
from rspipe.models.encoder import Encoder
from rspipe.preview import Part, Preview
from rspipe.recipe import load_recipe
from rspipe.train.config import PretrainRecipe
from rspipe.train.trainer import pretrain
from tests.cli.tiny_world import OVERRIDES, write_native
from tests.models.released_files import TINY
from tests.train.fakes import write_corpus


def asked(*words):
    """What a verb says in JSON, once it is sure that nothing was written."""
    before = listed()
    done = CliRunner().invoke(app, [*map(str, words), "--dry-run", "--json"])
    assert done.exit_code == 0, done.exception
    assert listed() == before
    return json.loads(done.stdout)


def listed():
    return sorted((str(p), p.stat().st_size) for p in Path().rglob("*"))


def done_of(known):
    return {part["name"]: (part["done"], part["total"]) for part in known["parts"]}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with native data and the recipes of `rspipe init tiny`."""
    monkeypatch.chdir(tmp_path)
    write_native(Path("data/native"))
    assert CliRunner().invoke(app, ["init", "tiny"]).exit_code == 0
    return tmp_path


def test_curate_counts_the_tables_that_a_run_would_take_as_done(project):
    words = ["curate", "tiny/curate.yaml", *OVERRIDES["curate"]]
    known = asked(*words)
    assert known["is_done"] is False
    assert known["facts"]["files"] == 41
    stages = ["ingest", "exclude", "slice", "screen", "dedup", "leakage"]
    assert done_of(known) == {**dict.fromkeys(stages, (0, 2)), "pack": (0, 1)}


def test_curate_finds_what_the_runner_left_and_what_other_settings_leave_undone(small):
    recipe = small.folder / "curate.yaml"
    known = asked("curate", recipe)
    assert known["is_done"] is True
    assert all(done == total for done, total in done_of(known).values())
    other = asked("curate", recipe, "what.dedup.max_hamming_bits=2")
    assert other["is_done"] is False
    found = done_of(other)
    assert found["screen"][0] == found["screen"][1] > 0
    assert found["dedup"][0] == found["leakage"][0] == 0


def test_pretrain_tells_epochs_and_size_and_finds_a_finished_run(project, monkeypatch, capsys):
    write_corpus(Path("data/corpus/tiny"))
    words = ["pretrain", "tiny/pretrain.yaml", *OVERRIDES["pretrain"]]
    known = asked(*words)
    assert done_of(known) == {"mae": (0, 4)}
    assert known["facts"]["hours left at that pace"] is None
    assert known["warnings"] == []
    (warning,) = asked(*words, "what.steps=1000000")["warnings"]
    assert "800 would be what.steps=" in warning
    monkeypatch.setattr("rspipe.train.schedule.MOST_EPOCHS", 0)
    pretrain(load_recipe(Path(words[1]), PretrainRecipe, words[2:]))
    assert "  warning: " in capsys.readouterr().out
    finished = asked(*words)
    assert finished["is_done"] is True
    assert done_of(finished) == {"mae": (4, 4)}
    state = (project / "data/runs/tiny/checkpoint/step-000004.pt").stat().st_size
    assert known["facts"]["MB of a checkpoint, about"] == pytest.approx(state / 1e6, rel=0.25)
    refused = CliRunner().invoke(app, [*words, "what.seed=3", "--dry-run"])
    assert "holds another run" in str(refused.exception)


def test_eval_counts_open_cells(project):
    Encoder.random(TINY, seed=0).save(Path("data/runs/tiny"))
    words = ["eval", "tiny/eval.yaml", *OVERRIDES["eval"]]
    known = asked(*words)
    assert done_of(known) == {"kinds": (0, 2), "scenes": (0, 0)}
    assert known["facts"]["images of benchmarks with open cells"] == 24
    recipe = load_recipe(Path(words[1]), EvalRecipe, words[2:])
    evaluate(recipe)
    assert asked(*words)["is_done"] is True
    cells = sorted(CellStore(Path(recipe.out_folder) / "cells").folder.glob("*.json"))
    cells[0].unlink()
    assert done_of(asked(*words))["kinds"] == (1, 2)


def test_compare_plans_without_a_run(project):
    write_corpus(Path("data/corpus/tiny"))
    base = yaml.safe_load(Path("tiny/pretrain.yaml").read_text())
    base["what"] |= {"images_per_step": 8, "encoder": TINY.model_dump(mode="json")}
    base["what"]["objective"] |= {"decoder_width": 24, "decoder_depth": 1, "decoder_heads": 2}
    Path("tiny/base.yaml").write_text(yaml.safe_dump(base))
    recipe = {
        "name": "tiny",
        "base": "tiny/base.yaml",
        "variants": {"mae": {}, "more": {"what": {"objective": {"mask_ratio": 0.5}}}},
        "budget": {"macs": 1e9},
        "seeds": [0, 1, 2],
        "sweep": {"base_lrs": [1e-3, 1e-2], "budget_share": 0.5},
        "judge": {"data": "data/native", "benchmark": "kinds"},
    }
    Path("tiny/compare.yaml").write_text(yaml.safe_dump(recipe))
    known = asked("compare", "tiny/compare.yaml")
    assert done_of(known) == {"sweep of learning rates": (0, 4), "reported runs": (0, 6)}
    assert known["facts"]["training MACs in all"] == 1e9 * (4 * 0.5 + 6)


def test_search_lists_pictures_and_finds_what_was_measured(project):
    words = ["audit", "data/native/scenes", "--against", "data/native/kinds", "--out", "found"]
    known = asked(*words)
    assert done_of(known)["measure"] == (0, 2)
    done = CliRunner().invoke(app, [*words, "--workers", "1", "--json"])
    assert json.loads(done.stdout)["compared"] == [16, 24]
    assert done_of(asked(*words))["measure"] == (2, 2)
    alone = asked("duplicates", "data/native/scenes", "--out", "found")
    assert done_of(alone)["measure"] == (1, 1)


def test_a_preview_says_the_same_in_lines():
    part = Part("slice", 3, 1200, "partitions")
    unknown = Part("runs", 1, None, "runs", "after the sweep")
    facts = {"GB to read": 0.25, "files": 12345, "hours": None, "macs": 1e12}
    said = "\n".join(Preview("curate", "x", ("in",), ("out",), (part, unknown), facts).lines())
    for words in ("3 of 1,200 partitions", "1 runs done, after the sweep", "0.25", "12,345"):
        assert words in said
    assert "unknown" in said
    assert "something is left to do" in said
