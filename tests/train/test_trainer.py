# SPDX-License-Identifier: Apache-2.0
import json
import math
import shutil
import signal
from functools import partial

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from rspipe.errors import RunError, WeightsError
from rspipe.models import encoder as encoder_module
from rspipe.models.encoder import Encoder
from rspipe.objectives import Draws, Step, build
from rspipe.objectives.dmjd import DMJDConfig
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.region_masking import RegionMaskingConfig
from rspipe.train import trainer
from rspipe.train.checkpoint import load_checkpoint
from rspipe.train.config import InitFrom
from rspipe.train.data import Batches
from rspipe.train.logging import read_metrics
from rspipe.train.run import Run
from rspipe.train.run_folder import RunFolder, run_fingerprint
from rspipe.train.trainer import Training, pretrain
from tests.train.alike import assert_alike, losses, weights
from tests.train.conftest import TINY
from tests.train.fakes import FakeCorpus

pytestmark = pytest.mark.usefixtures("corpus")


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


class Interrupt:
    """Ask a run to stop after some steps, or kill it without a word."""

    def __init__(self, monkeypatch, after, kind):
        original = Training._step

        def step(training, batch):
            launched = original(training, batch)
            if training.run.done + 1 == after:
                if kind == "kill":
                    raise SystemExit(137)
                signal.raise_signal(kind)
            return launched

        monkeypatch.setattr(Training, "_step", step)


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
    monkeypatch.setattr(Training, "go", lambda *_: pytest.fail("trained again"))
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


@pytest.mark.parametrize("images_per_device", [1, 3, 4])
def test_passes_that_save_memory_equal_the_whole_step(make_recipe, images_per_device):
    whole = pretrain(make_recipe(out="whole"))
    passes = pretrain(make_recipe(out="passes", how={"images_per_device": images_per_device}))
    assert_alike(whole, passes)


def test_activation_checkpointing_changes_no_bit(make_recipe):
    kept = pretrain(make_recipe(out="kept"))
    again = pretrain(make_recipe(out="again", how={"activation_checkpointing": True}))
    assert_same_bits(weights(kept), weights(again))


def test_activation_checkpointing_reaches_every_block(make_recipe, monkeypatch):
    calls = []
    original = encoder_module.checkpoint
    monkeypatch.setattr(
        encoder_module, "checkpoint", lambda *a, **k: calls.append(a[0]) or original(*a, **k)
    )
    pretrain(make_recipe(steps=1, how={"activation_checkpointing": True}))
    assert {type(block).__name__ for block in calls} == {"Block", "CrossBlock"}
    calls.clear()
    pretrain(make_recipe(out="plain", steps=1))
    assert not calls


def test_average_is_exported_in_place_of_the_last_weights(make_recipe):
    plain = pretrain(make_recipe(out="plain"))
    averaged = pretrain(make_recipe(out="averaged", ema_decay=0.9))
    assert losses(plain) == losses(averaged)  # the average does not take part in training
    name = "blocks.0.mlp.fc1.weight"
    assert not torch.equal(weights(plain)[name], weights(averaged)[name])
    for folder, exported in ((plain, "last weights"), (averaged, "ema")):
        assert json.loads((folder / "manifest.json").read_text())["exported"] == exported


def test_run_begins_with_the_weights_it_is_given(make_recipe):
    first = pretrain(make_recipe(out="first"))
    start = InitFrom(path=str(first), encoder_only=True)
    slow = {"base_lr": 1e-12, "steps": 2}
    second = pretrain(make_recipe(out="second", init_from=start, layer_decay=0.8, **slow))
    torch.testing.assert_close(weights(first), weights(second), rtol=0, atol=1e-6)
    manifest = json.loads((second / "manifest.json").read_text())
    assert len(manifest["initial_weights"]) == 64


def test_given_weights_are_part_of_what_a_run_is_but_not_where_they_lie(make_recipe, tmp_path):
    first, other = (pretrain(make_recipe(out=f"seed{s}", seed=s, steps=1)) for s in (0, 1))
    moved = tmp_path / "moved"
    shutil.copytree(first, moved)
    prints = [
        RunFolder(make_recipe(init_from=InitFrom(path=str(path))), "corpus").fingerprint
        for path in (first, moved, other)
    ]
    assert prints[0] == prints[1] != prints[2]
    said = make_recipe(init_from=InitFrom(path=str(moved))).what
    assert run_fingerprint(said, "corpus") == prints[0]


def test_absent_weights_are_refused_before_anything_is_written(make_recipe, tmp_path):
    with pytest.raises(WeightsError, match="no weights there"):
        pretrain(make_recipe(init_from=InitFrom(path=str(tmp_path / "nowhere"))))
    assert not (tmp_path / "run").exists()


class Noting:
    """A hook that notes when it is called, and spoils the encoder it is given."""

    def __init__(self, every_steps):
        self.every_steps = every_steps
        self.calls = []

    def __call__(self, step, encoder):
        self.calls.append(step)
        assert not encoder.training
        assert all(parameter.isfinite().all() for parameter in encoder.parameters())
        for parameter in encoder.parameters():
            parameter.data.fill_(float("nan"))
        return {f"every/{self.every_steps}": step / 2}


def test_hooks_are_called_at_their_steps_and_change_nothing(make_recipe):
    hooks = [Noting(5), Noting(3)]
    how = {"log_every_steps": 100}
    watched = pretrain(make_recipe(out="watched", how=how), hooks)
    assert [hook.calls for hook in hooks] == [[5, 10, 12], [3, 6, 9, 12]]
    logged = {line["step"]: line for line in read_metrics(watched)}
    assert sorted(logged) == [3, 5, 6, 9, 10, 12]
    assert logged[5]["every/5"] == 2.5
    assert "every/3" not in logged[5]
    assert_same_bits(weights(watched), weights(pretrain(make_recipe(out="alone", how=how))))


def test_hooks_are_called_at_the_same_steps_after_a_stop(make_recipe, monkeypatch):
    hook = Noting(4)
    with monkeypatch.context() as patch:
        Interrupt(patch, 6, signal.SIGTERM)
        with pytest.raises(RunError):
            pretrain(make_recipe(), [hook])
    folder = pretrain(make_recipe(), [hook])
    assert hook.calls == [4, 8, 12]
    assert [m["step"] for m in read_metrics(folder) if "every/4" in m] == [4, 8, 12]


def test_line_of_the_log_says_how_fast_and_how_long(make_recipe):
    line = read_metrics(pretrain(make_recipe()))[-2]
    for name in ("loss", "lr", "grad_norm", "images_per_s", "images_per_s_device", "mfu"):
        assert line[name] > 0, name
    for name in ("data_wait_share", "peak_memory_gib", "elapsed_s", "eta_s"):
        assert line[name] >= 0, name
    assert line["step"] == 11
    assert line["mfu"] < 1
    assert "wants_stop" not in line


def test_parts_of_the_loss_are_logged_and_sum_to_it(make_recipe):
    dmjd = DMJDConfig(
        mask_cell_px=8, decoder_width=16, decoder_depth=1, decoder_heads=2, visible_width=16
    )
    line = read_metrics(pretrain(make_recipe(objective=dmjd, steps=1)))[0]
    parts = {k: v for k, v in line.items() if k in dmjd_terms(dmjd)}
    assert len(parts) > 1
    assert sum(parts.values()) == pytest.approx(line["loss"], rel=1e-5)


def dmjd_terms(config):
    objective = build(config, TINY, seed=0)
    images = torch.randn(1, 3, *TINY.size_px)
    return objective(images, objective.plan(images, 0.0, Draws(0, torch.zeros(1).long()))).terms


@pytest.mark.parametrize("lag", [0, 2])
def test_loss_that_is_not_finite_names_the_planted_tile(make_recipe, monkeypatch, tmp_path, lag):
    how = {"checkpoint_every_steps": 5, "log_every_steps": 5, "images_per_device": 3}
    recipe = make_recipe(how=how)
    row = int(Batches(FakeCorpus, recipe.what, recipe.how).make(7).rows[4])
    original = Training._pass

    def spoilt(training, batch, cut):
        step = original(training, batch, cut)
        planted = torch.from_numpy(batch.rows[cut] == row) & (training.run.done == 7)
        per_image = step.loss_per_image.masked_fill(planted, float("inf"))
        return Step(per_image.mean(), per_image, step.terms)

    monkeypatch.setattr(Training, "_pass", spoilt)
    monkeypatch.setattr(trainer, "lag_of", lambda device: lag)
    with pytest.raises(RunError, match=rf"step 7: loss inf.*of id-{row};"):
        pretrain(recipe)
    folder = tmp_path / "run"
    note = json.loads((folder / "nonfinite.json").read_text())
    assert note["step"] == 7
    assert note["offending"] == [{"tile_id": f"id-{row}", "corpus_row": row, "loss": "inf"}]
    assert len(note["images"]) == 8
    assert not (folder / "manifest.json").exists()
    state = load_checkpoint(folder / "checkpoint")
    assert state["step"] == 5
    assert all(v.isfinite().all() for v in state["objective"].values())


def test_note_of_an_attempt_before_does_not_outlive_it(make_recipe, monkeypatch, tmp_path):
    note = tmp_path / "run" / "nonfinite.json"
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "learning_rate", lambda *_: math.inf)
        with pytest.raises(RunError):
            pretrain(make_recipe())
    assert note.is_file()
    pretrain(make_recipe())
    assert not note.exists()


def test_numbers_that_are_read_late_are_the_same(make_recipe, monkeypatch):
    at_once = pretrain(make_recipe(out="at_once"))
    monkeypatch.setattr(trainer, "lag_of", lambda device: 2)
    late = pretrain(make_recipe(out="late", how={"log_every_steps": 5}))
    assert_same_bits(weights(at_once), weights(late))
    lines = {line["step"]: line["loss"] for line in read_metrics(at_once)}
    assert [(m["step"], m["loss"]) for m in read_metrics(late)] == [
        (step, lines[step]) for step in (5, 10, 12)
    ]


def test_run_asked_to_stop_at_its_last_step_ends(make_recipe, monkeypatch):
    Interrupt(monkeypatch, 12, signal.SIGTERM)
    assert (pretrain(make_recipe()) / "manifest.json").is_file()


def test_compiled_forward_is_compiled_once(make_recipe, monkeypatch):
    plain = pretrain(make_recipe(out="plain"))
    counter = CompileCounterWithBackend("eager")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counter))
    torch._dynamo.reset()
    compiled = pretrain(make_recipe(out="compiled", how={"compile": True}))
    assert counter.frame_count == 1
    assert losses(plain) == pytest.approx(losses(compiled), rel=1e-5)


@pytest.mark.parametrize("regions", ["superpixels", "masks"])
def test_objective_is_given_the_regions_that_it_needs(make_recipe, monkeypatch, regions):
    given = []
    original = Run.prepared

    def prepared(run, batch, cut):
        given.append(batch.regions is not None)
        return original(run, batch, cut)

    monkeypatch.setattr(Run, "prepared", prepared)
    base = MAEConfig(decoder_width=16, decoder_depth=1, decoder_heads=2)
    objective = RegionMaskingConfig(base=base, regions=regions, min_share=0.1)
    folder = pretrain(make_recipe(objective=objective, steps=2))
    assert given == [regions == "masks"] * 3  # two steps and a picture
    assert all(math.isfinite(loss) for loss in losses(folder))
