# SPDX-License-Identifier: Apache-2.0
"""Two processes do what one does, to the rounding of sums."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch

from rspipe.corpus.reader import Corpus
from rspipe.errors import RunError
from rspipe.models.encoder import Encoder
from rspipe.train.checkpoint import load_checkpoint
from rspipe.train.config import PretrainHow
from rspipe.train.distributed import World, chooses_fsdp2
from rspipe.train.logging import read_metrics
from rspipe.train.run import Run
from rspipe.train.run_folder import RunFolder
from rspipe.train.trainer import pretrain
from tests.train.alike import assert_alike, losses, weights
from tests.train.fakes import FakeCorpus
from tests.train.two_processes import (
    OBJECTIVES,
    PLANTED,
    STOP_AFTER,
    interrupted,
    recipe,
    run_all,
)


@pytest.fixture(scope="module", autouse=True)
def corpus():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Corpus, "open", lambda path: FakeCorpus())
        yield


@pytest.fixture(scope="module")
def two(tmp_path_factory, corpus):
    """Run folders of two processes; some runs were begun by one."""
    folder = tmp_path_factory.mktemp("two")
    for how in ("ddp", "fsdp2"):
        interrupted(folder / f"continued_{how}", ema_decay=0.5)
    run_all(folder)
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory, corpus):
    """Run, once each, what two processes are compared with."""
    folder = tmp_path_factory.mktemp("one")
    made = {}

    def run(objective="selective_mae", **what):
        key = json.dumps([objective, what])
        if key not in made:
            made[key] = pretrain(recipe(folder / str(len(made)), objective, **what))
        return made[key]

    return run


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_replicas_equal_one_process(two, one, objective):
    assert_alike(two / f"ddp_{objective}", one(objective))


@pytest.mark.parametrize("objective", ["cross_mae", "selective_mae"])
def test_two_halves_of_the_weights_equal_one_process(two, one, objective):
    assert_alike(two / f"fsdp2_{objective}", one(objective, ema_decay=0.5))


def test_two_halves_of_the_weights_round_to_bf16_as_two_replicas_do(two):
    assert_alike(two / "bf16_ddp", two / "bf16_fsdp2")


def test_tolerance_tells_other_runs_apart(one):
    with pytest.raises(AssertionError):
        assert_alike(one(), one(weight_decay=0.2))


def test_two_processes_with_passes_equal_one_process(two, one):
    assert_alike(two / "passes", one())


@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_run_begun_by_one_and_continued_by_two_equals_one(two, one, how):
    assert_alike(two / f"continued_{how}", one(ema_decay=0.5))


@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_run_begun_by_two_and_continued_by_one_equals_one(two, one, how, tmp_path):
    begun = tmp_path / "begun"
    shutil.copytree(two / f"stopped_{how}", begun)
    assert_alike(pretrain(recipe(begun, ema_decay=0.5)), one(ema_decay=0.5))


@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_two_processes_stopped_and_continued_end_with_the_same_bits(two, how):
    straight, resumed = two / f"{how}_selective_mae", two / f"resumed_{how}"
    assert losses(straight) == losses(resumed)
    ends = [weights(folder) for folder in (straight, resumed)]
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_processes_stop_after_the_same_step_when_one_is_asked(two, how):
    main, other = (json.loads((two / f"said_{rank}.json").read_text()) for rank in (0, 1))
    state = load_checkpoint(two / f"stopped_{how}" / "checkpoint")
    assert state["step"] == STOP_AFTER + 1  # the wish travels with the next step
    assert f"SIGTERM after step {STOP_AFTER + 1} of 6" in main[f"stopped_{how}"]
    assert other[f"stopped_{how}"] == "143"  # an exit code: only one of them speaks


@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_checkpoint_of_two_processes_holds_whole_tensors(two, one, how):
    mine = load_checkpoint(two / f"stopped_{how}" / "checkpoint")
    whole = load_checkpoint(one(ema_decay=0.5) / "checkpoint")
    for part in ("objective", "average"):
        assert {k: v.shape for k, v in mine[part].items()} == {
            k: v.shape for k, v in whole[part].items()
        }


@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_hook_sees_the_whole_encoder(two, how):
    logged = {m["step"]: m for m in read_metrics(two / f"stopped_{how}")}
    assert logged[STOP_AFTER]["width"] == 16
    assert Encoder.load(two / f"continued_{how}").report.is_exact


@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_all_processes_refuse_a_loss_that_one_of_them_finds(two, how):
    main, other = (json.loads((two / f"said_{rank}.json").read_text()) for rank in (0, 1))
    note = json.loads((two / f"poisoned_{how}" / "nonfinite.json").read_text())
    assert [image["tile_id"] for image in note["offending"]] == [f"id-{PLANTED}"]
    assert len(note["images"]) == 8
    assert f"id-{PLANTED}" in main[f"poisoned_{how}"]
    assert other[f"poisoned_{how}"] == "4"


@pytest.mark.parametrize(("total_memory", "sharded"), [(10**9, False), (10**3, True)])
def test_weights_are_shared_out_when_they_would_fill_a_gpu(monkeypatch, total_memory, sharded):
    properties = SimpleNamespace(total_memory=total_memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    world = World(torch.device("cuda"), size=2)
    model = torch.nn.Linear(100, 100)
    assert chooses_fsdp2(model, PretrainHow(), world) == sharded
    assert not chooses_fsdp2(model, PretrainHow(parallel="ddp"), world)
    assert not chooses_fsdp2(model, PretrainHow(), World(torch.device("cpu"), size=2))


def test_step_that_cannot_be_shared_evenly_is_refused(tmp_path):
    folder = RunFolder(recipe(tmp_path / "run", images_per_step=9), "corpus")
    with pytest.raises(RunError, match="9"):
        Run(folder, World(torch.device("cpu"), size=2))
