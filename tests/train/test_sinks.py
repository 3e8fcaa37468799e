# SPDX-License-Identifier: Apache-2.0
"""Services get what the run logs; none of them is installed here, so they are played."""

import sys
from types import SimpleNamespace

import pytest

from rspipe.errors import MissingDependency
from rspipe.train.logging import read_metrics
from rspipe.train.sinks import SINKS, RunLabel
from rspipe.train.trainer import pretrain


class FakeWandb:
    def __init__(self):
        self.started, self.rows, self.finished = [], [], 0

    def init(self, **said):
        self.started.append(said)
        return self

    def log(self, values, step):
        self.rows.append((step, values))

    def finish(self):
        self.finished += 1


class FakeMLflow:
    def __init__(self):
        self.started, self.rows, self.params, self.ended = [], [], [], 0

    def set_experiment(self, name):
        self.experiment = name

    def start_run(self, run_id, run_name):
        self.started.append((run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "new"))

    def log_params(self, values):
        self.params.append(values)

    def log_metrics(self, values, step):
        self.rows.append((step, values))

    def end_run(self):
        self.ended += 1


@pytest.fixture
def services(monkeypatch):
    found = SimpleNamespace(wandb=FakeWandb(), mlflow=FakeMLflow())
    monkeypatch.setitem(sys.modules, "wandb", found.wandb)
    monkeypatch.setitem(sys.modules, "mlflow", found.mlflow)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return found


def test_every_service_gets_the_lines_of_the_run(services, corpus, make_recipe):
    how = {"log_every_steps": 4, "log_to": ("wandb", "mlflow", "tensorboard")}
    folder = pretrain(make_recipe(how=how))
    lines = [(line.pop("step"), line) for line in read_metrics(folder)]
    assert [step for step, _ in lines] == [4, 8, 12]
    assert services.wandb.rows == services.mlflow.rows == lines
    assert services.wandb.finished == services.mlflow.ended == 1
    assert services.mlflow.params[0]["what.steps"] == 12
    assert list((folder / "tensorboard").glob("events*"))


def test_continued_run_is_the_same_run_for_each_service(services, tmp_path):
    for done in (0, 5):
        label = RunLabel(tmp_path, "tiny", "abc", {"what": {"steps": 9}}, done)
        for name in ("wandb", "mlflow"):
            SINKS[name](label).close()
    assert [said["id"] for said in services.wandb.started] == ["abc", "abc"]
    assert all(said["resume"] == "allow" for said in services.wandb.started)
    assert services.mlflow.started == [(None, "tiny"), ("new", "tiny")]
    assert len(services.mlflow.params) == 1


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_absent_service_is_an_error_that_names_its_extra(name, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependency, match=rf"rspipe\[{name}\]"):
        SINKS[name](RunLabel(tmp_path, "tiny", "abc", {}))
