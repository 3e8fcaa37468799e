# SPDX-License-Identifier: Apache-2.0
"""`--json`: stdout is one JSON document, whatever else the verb says."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rspipe.cli import app, exits
from rspipe.cli.program import main
from rspipe.corpus.format import shard_paths
from rspipe.models.encoder import Encoder
from tests.cli.tiny_world import OVERRIDES, write_native
from tests.models.released_files import TINY
from tests.train.fakes import write_corpus


def asked(*words, code=exits.DONE):
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == code, done.exception
    return json.loads(done.stdout)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_native(Path("data/native"))
    assert CliRunner().invoke(app, ["init", "tiny"]).exit_code == 0
    return tmp_path


def test_doctor_and_catalog(project):
    known = asked("doctor", "--extra", "train")
    assert known["is_well"] is True
    assert {"train: torch", "python"} <= {finding["name"] for finding in known["findings"]}
    assert asked("catalog", "show", "LoveDA")["name"] == "loveda"
    plan = asked("catalog", "plan", "tiny/curate.yaml")
    assert plan["is_ready"] is True
    assert [need["name"] for need in plan["needs"]] == ["kinds", "scenes"]
    missing = ["catalog", "plan", "tiny/curate.yaml", "what.datasets=[dubai_seg]"]
    assert asked(*missing, code=exits.FOUND)["needs"][0]["source"] is None
    fetched = asked("catalog", "fetch", "aid", "--to", "x", code=exits.FOUND)
    assert [one["state"] for one in fetched["aid"]] == ["by hand"]


def test_doctor_misses_an_extra_only_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("rspipe.doctor._version_of", lambda package: None)
    assert asked("doctor")["is_well"] is True
    assert asked("doctor", "--extra", "curate", code=exits.FOUND)["is_well"] is False
    monkeypatch.setattr("rspipe.doctor._version_of", {"dask": "1"}.get)
    assert asked("doctor", code=exits.FOUND)["is_well"] is False
    wrong = CliRunner().invoke(app, ["doctor", "--extra", "curat"])
    assert "did you mean 'curate'" in str(wrong.exception)


def test_a_corpus_is_counted_told_and_checked(small, tmp_path):
    corpus = small.corpus
    stats = asked("corpus", "stats", corpus)
    assert stats["tiles"] == sum(stats["by_source"].values()) > 0
    rows = asked("corpus", "show", corpus, "gallery/turned_90")
    assert {row["level"] for row in rows} == {"file", "tile"}
    assert all("gallery/turned_90" in row["source_path"] for row in rows)
    tile = next(row["tile_id"] for row in rows if row["level"] == "tile")
    assert [row["tile_id"] for row in asked("corpus", "show", corpus, tile)] == [tile]
    page = tmp_path / "page.html"
    said = asked("corpus", "browse", corpus, "--rows", "8", "--out", page)
    assert said["page"] == str(page)
    assert said["size_bytes"] == page.stat().st_size
    assert asked("corpus", "verify", corpus) == {
        "corpus": str(corpus),
        "is_sound": True,
        "tiles": stats["tiles"],
        "damage": None,
    }


def test_damage_is_found_with_exit_code_1(small, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(small.corpus, copy)
    shard = shard_paths(copy)[0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    known = asked("corpus", "verify", copy, code=exits.FOUND)
    assert known["is_sound"] is False
    assert shard.name in known["damage"]


def test_runs_and_scores(project):
    write_corpus(Path("data/corpus/tiny"))
    run = asked("pretrain", "tiny/pretrain.yaml", *OVERRIDES["pretrain"])
    assert run["run"] == "data/runs/tiny"
    assert run["steps"] == 4
    Encoder.random(TINY, seed=0).save(Path("data/runs/other"))
    words = ["eval", "tiny/eval.yaml", *OVERRIDES["eval"], "encoder=data/runs/other"]
    scores = asked(*words, "benchmarks=[kinds]")
    assert scores["results"] == "data/results/tiny"
    found = {(row["protocol"], row["encoder"]): row["value"] for row in scores["rows"]}
    assert found.keys() == {("knn", "pretrained"), ("knn", "random")}
    assert all(0 <= value <= 1 for value in found.values())


def test_ctrl_c_while_training_ends_with_130_and_the_same_command_goes_on(
    project, monkeypatch, capsys
):
    write_corpus(Path("data/corpus/tiny"))
    words = ["pretrain", "tiny/pretrain.yaml", *OVERRIDES["pretrain"], "what.steps=100000"]
    words += ["how.log_every_steps=1"]
    monkeypatch.setattr(sys, "argv", ["rspipe", *words])
    metrics = Path("data/runs/tiny/metrics.jsonl")

    def interrupt():
        deadline = time.monotonic() + 120
        while not (metrics.is_file() and metrics.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == exits.INTERRUPTED
    assert "the same command continues" in capsys.readouterr().err
    known = json.loads(CliRunner().invoke(app, [*words, "--dry-run", "--json"]).stdout)
    assert known["parts"][0]["done"] > 0
    assert known["facts"]["hours left at that pace"] > 0
