# SPDX-License-Identifier: Apache-2.0
"""The pre-training run: what it was, how its loss fell, what it reconstructs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from rspipe.io.tables import read_json_if_there
from rspipe.recipe import read_yaml
from rspipe.report import figures
from rspipe.report.figures import Series
from rspipe.report.pictures import file_uri

_PICTURE_PX = 1100

Metrics = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Run:
    """A run folder, as far as it has come."""

    path: Path
    manifest: Mapping[str, Any]
    """Empty while the run goes on."""
    note: Mapping[str, Any]
    """`run.yaml`."""
    metrics: Metrics

    @classmethod
    def read(cls, path: Path) -> "Run | None":
        """Read a run folder; None where no run has begun."""
        if not (path / "run.yaml").is_file():
            return None
        return cls(
            path=path,
            manifest=read_json_if_there(path / "manifest.json"),
            note=read_yaml((path / "run.yaml").read_text()),
            metrics=read_metrics(path / "metrics.jsonl"),
        )

    @property
    def name(self) -> str:
        """As the recipe calls it."""
        return str(self.note.get("name", self.path.name))

    @property
    def what(self) -> Mapping[str, Any]:
        """The part of the recipe that changes the weights."""
        return dict(self.note.get("what") or {})

    def curve(self, name: str, against: str = "step") -> Series:
        """One metric over the run."""
        rows = [row for row in self.metrics if name in row and against in row]
        x, y = ([row[key] for row in rows] for key in (against, name))
        return Series(self.name, np.array(x, np.float64), np.array(y, np.float64))


@dataclass(frozen=True)
class Picture:
    """Reconstructions after some steps."""

    step: str
    uri: str


@dataclass(frozen=True)
class RunSection:
    """Everything the page says of the run."""

    name: str
    is_complete: bool
    facts: tuple[tuple[str, str], ...]
    hashes: tuple[tuple[str, str], ...]
    loss: Markup
    legend: tuple[tuple[str, str], ...]
    """Run, colour."""
    has_other_objectives: bool
    lesser: tuple[tuple[str, Markup], ...]
    """Title and chart."""
    pictures: tuple[Picture, ...]
    recipe: str


def describe_run(run: Run, compared: Sequence[Run]) -> RunSection:
    """Draw a run beside others."""
    runs = [run, *compared]
    losses = [one.curve("loss") for one in runs]
    lesser = (
        ("Learning rate", "lr"),
        ("Images per second", "images_per_s"),
        ("Share of time spent waiting for data", "data_wait_share"),
    )
    return RunSection(
        name=run.name,
        is_complete=bool(run.manifest.get("complete")),
        facts=tuple(_facts(run)),
        hashes=tuple(_hashes(run)),
        loss=_loss(losses),
        legend=tuple((one.name, figures.colour(i)) for i, one in enumerate(runs)),
        has_other_objectives=len({_objective(one) for one in runs}) > 1,
        lesser=tuple(
            (title, figures.line_chart([run.curve(key)], title, "step", (320, 150), True))
            for title, key in lesser
            if len(run.curve(key).y) > 1
        ),
        pictures=tuple(_pictures(run.path / "pictures")),
        recipe=json.dumps(run.what, indent=2),
    )


def read_metrics(path: Path) -> Metrics:
    """Read metrics, oldest first; a line cut off by a kill is left out."""
    if not path.is_file():
        return []
    # Only the last line can lack its end: each is written at once.
    whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line) for line in whole]


def _loss(losses: Sequence[Series]) -> Markup:
    """Draw losses; one point is no curve, and stands among the facts."""
    if all(len(one.y) < 2 for one in losses):
        return Markup("")
    return figures.line_chart(losses, "Loss over the steps", "step")


def _objective(run: Run) -> str:
    return str((run.what.get("objective") or {}).get("name", ""))


def _facts(run: Run) -> list[tuple[str, str]]:
    made, what = run.manifest, run.what
    encoder = what.get("encoder") or {}
    shape = " · ".join(
        f"{name} {encoder[key]}"
        for key, name in (("width", "width"), ("depth", "depth"), ("heads", "heads"))
        if key in encoder
    )
    size = f"{encoder.get('img_px', '?')} px in patches of {encoder.get('patch_px', '?')} px"
    done = made.get("steps", run.metrics[-1]["step"] if run.metrics else 0)
    found = [
        ("Objective", _objective(run)),
        ("Encoder", shape),
        ("Sees", size if encoder else ""),
        ("Steps", f"{int(done):,} of {what['steps']:,}" if "steps" in what else f"{int(done):,}"),
        ("Images per step", _count(what.get("images_per_step"))),
        ("Images seen", _count(made.get("images_seen"))),
        ("Final loss", _decimal(made.get("final_loss"), ".4f")),
        ("Peak learning rate", _decimal(made.get("peak_lr"), ".2e")),
        ("Parameters, encoder", _millions(made.get("encoder_parameters"))),
        ("Parameters, all", _millions(made.get("all_parameters"))),
        ("MACs per image, forward", _millions(made.get("macs_per_image"))),
        ("Device", str(made.get("device", ""))),
        ("Precision", str(what.get("precision", ""))),
        ("Speed", _decimal(made.get("images_per_s"), ",.0f", " images/s")),
        ("Share of peak (MFU)", _mfu(made)),
        ("Time", _duration(made.get("elapsed_s"))),
        ("Seed", str(what.get("seed", ""))),
    ]
    return [(name, value) for name, value in found if value]


def _hashes(run: Run) -> list[tuple[str, str]]:
    keys = ("fingerprint", "corpus_fingerprint", "encoder_sha256", "code_commit", "torch_version")
    there = {**run.note, **run.manifest}
    return [(key.replace("_", " "), str(there[key])) for key in keys if there.get(key)]


def _pictures(folder: Path) -> list[Picture]:
    """Draw the first and the last reconstructions."""
    files = sorted(folder.glob("step-*.png"), key=lambda path: path.name)
    ends = files[:1] + files[1:][-1:]
    drawn = [(_step_of(path), file_uri(path, _PICTURE_PX)) for path in ends]
    return [Picture(step, uri) for step, uri in drawn if uri is not None]


def _step_of(path: Path) -> str:
    step = path.stem.removeprefix("step-")
    return f"{int(step):,}" if step.isdecimal() else step


def _mfu(made: Mapping[str, Any]) -> str:
    """Say which share of the device's peak the model's own operations took."""
    rate, macs, peak = (made.get(k) for k in ("images_per_s", "macs_per_image", "peak_flops_per_s"))
    if not rate or not macs or not peak:
        return ""
    # Forward and twice as much backward, two operations per multiply-accumulate (PaLM, app. B).
    share = 6 * macs * rate / (made.get("devices") or 1) / peak
    return f"{100 * share:.0f} %" if share <= 1 else "unknown: the peak was measured under load"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _decimal(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _millions(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:,.2f} M"


def _duration(seconds: float | None) -> str:
    """Say a duration in the units one would say it in.

    >>> _duration(42.3), _duration(600), _duration(9000)
    ('42 s', '10.0 min', '2.5 h')
    """
    if seconds is None:
        return ""
    for unit_s, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.1f} {name}"
    return f"{seconds:.0f} s"
