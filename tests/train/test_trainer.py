import json
import math
import signal

import pytest
import torch
from safetensors.torch import load_file

from rspipe.errors import RunError
from rspipe.models.encoder import Encoder
from rspipe.train import trainer
from rspipe.train.logging import read_metrics
from rspipe.train.trainer import Run, pretrain

pytestmark = pytest.mark.usefixtures("corpus")


def weights(folder):
    return load_file(folder / "encoder.safetensors")


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


class Interrupt:
    """Ask a run to stop after some steps, or kill it without a word."""

    def __init__(self, monkeypatch, after, kind):
        original = Run._step

        def step(run, *args):
            launched = original(run, *args)
            if run.done + 1 == after:
                if kind == "kill":
                    raise SystemExit(137)
                signal.raise_signal(kind)
            return launched

        monkeypatch.setattr(Run, "_step", step)


def test_run_leaves_everything_that_a_run_folder_holds(make_recipe, capsys):
    folder = pretrain(make_recipe())
    for name in ("encoder.safetensors", "encoder.json", "run.yaml", "checkpoint/last"):
        assert (folder / name).is_file(), name
    assert list((folder / "pictures").glob("step-*.png"))
    assert list((folder / "tensorboard").glob("events*"))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["complete"] is True
    assert manifest["images_seen"] == 12 * 8
    assert manifest["recipe"]["what"]["precision"] == "fp32"
    assert Encoder.load(folder).report.is_exact
    out = capsys.readouterr().out
    assert "24 tiles (fake-corpus)" in out
    assert str(folder / "encoder.safetensors") in out


@pytest.mark.parametrize("kinds", [("kill", signal.SIGTERM), (signal.SIGINT, "kill")])
def test_run_stopped_twice_ends_with_the_same_bits(make_recipe, monkeypatch, kinds):
    straight = pretrain(make_recipe(out="straight"))
    how = {"checkpoint_every_steps": 2, "loader_threads": 1}
    for after, kind in zip((4, 9), kinds, strict=True):
        with monkeypatch.context() as patch:
            Interrupt(patch, after, kind)
            with pytest.raises((RunError, SystemExit)):
                pretrain(make_recipe(out="broken", how=how))
        how["loader_threads"] = 3
    broken = pretrain(make_recipe(out="broken", how=how))

    assert_same_bits(weights(straight), weights(broken))
    lines = [read_metrics(folder) for folder in (straight, broken)]
    assert [line["step"] for line in lines[1]] == list(range(1, 13))
    for key in ("loss", "lr", "grad_norm"):
        assert [line[key] for line in lines[0]] == [line[key] for line in lines[1]]


def test_complete_run_is_found_and_not_repeated(make_recipe, monkeypatch, capsys):
    folder = pretrain(make_recipe())
    before = (folder / "encoder.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(Run, "train", lambda *_: pytest.fail("trained again"))
    assert pretrain(make_recipe(how={"log_every_steps": 5})) == folder
    assert (folder / "encoder.safetensors").stat().st_mtime_ns == before
    assert "already complete" in capsys.readouterr().out


def test_changed_recipe_does_not_touch_a_run_that_is_there(make_recipe):
    folder = pretrain(make_recipe())
    before = weights(folder)
    with pytest.raises(RunError, match=r"what\.seed: 0 there, 1 here.*another name"):
        pretrain(make_recipe(seed=1))
    assert_same_bits(before, weights(folder))


def test_signal_leaves_a_checkpoint_and_says_what_to_do(make_recipe, monkeypatch):
    Interrupt(monkeypatch, 5, signal.SIGTERM)
    with pytest.raises(RunError, match=r"SIGTERM after step 5 of 12.*same command continues"):
        pretrain(make_recipe())


def test_loss_that_is_not_finite_names_its_rows(make_recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer, "learning_rate", lambda *_: math.inf)
    with pytest.raises(RunError, match=r"nonfinite\.json"):
        pretrain(make_recipe())
    note = json.loads((tmp_path / "run" / "nonfinite.json").read_text())
    assert len(note["images"]) == 8
    assert not (tmp_path / "run" / "manifest.json").exists()
