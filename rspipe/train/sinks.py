# SPDX-License-Identifier: Apache-2.0
"""Where metrics go besides `metrics.jsonl`: one small class per service, one table."""

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from rspipe.errors import MissingDependency
from rspipe.train.checkpoint import write_aside
from rspipe.train.config import SinkName


@dataclass(frozen=True)
class RunLabel:
    """What a service needs to know of a run."""

    folder: Path
    name: str
    fingerprint: str
    """The same for the continued run, so that its curves go on."""
    settings: Mapping[str, Any]
    """The recipe."""
    done: int = 0
    """Steps that are done; what was logged of later ones will be logged again."""


class Sink(Protocol):
    """A place for metrics."""

    def __init__(self, run: RunLabel) -> None: ...

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Note the values after `step` steps."""

    def close(self) -> None:
        """Send what is not yet sent."""


class TensorBoard:
    """Event files in `tensorboard/` of the run folder."""

    def __init__(self, run: RunLabel) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._curves = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.done + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Note the values after `step` steps."""
        for name, value in values.items():
            self._curves.add_scalar(name, value, step)

    def close(self) -> None:
        """Send what is not yet sent."""
        self._curves.close()


class WeightsAndBiases:
    """A run of project `rspipe`, or of WANDB_PROJECT; credentials and mode are W&B's own affair.

    W&B keeps the first value of a step: after a kill, steps that are repeated are not sent anew.
    """

    def __init__(self, run: RunLabel) -> None:
        wandb: Any = _installed("wandb")
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "rspipe"),
            id=run.fingerprint,
            name=run.name,
            dir=str(run.folder),
            config=dict(run.settings),
            resume="allow",
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Note the values after `step` steps."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Send what is not yet sent."""
        self._run.finish()


class MLflow:
    """A run of experiment `rspipe`; MLFLOW_TRACKING_URI says where, by default `mlruns/`."""

    def __init__(self, run: RunLabel) -> None:
        self._mlflow: Any = _installed("mlflow")
        self._mlflow.set_experiment("rspipe")
        note = run.folder / "mlflow_run_id"
        before = note.read_text().strip() if note.is_file() else None
        started = self._mlflow.start_run(run_id=before, run_name=run.name)
        write_aside(note, started.info.run_id + "\n")
        if before is None:
            self._mlflow.log_params(flat(run.settings))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Note the values after `step` steps."""
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """Send what is not yet sent."""
        self._mlflow.end_run()


SINKS: dict[SinkName, type[Sink]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Name each value of nested mappings by its path.

    >>> flat({"how": {"compile": True}, "name": "demo"})
    {'how.compile': True, 'name': 'demo'}
    """
    if not isinstance(value, Mapping):
        return {name: value}
    return {
        key: leaf
        for inner, part in value.items()
        for key, leaf in flat(part, f"{name}.{inner}" if name else inner).items()
    }


def _installed(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"how.log_to: {module} is not installed; `pip install 'rspipe[{module}]'`"
        ) from error
