# SPDX-License-Identifier: Apache-2.0
"""The folders that `make eval` wrote, as the report reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rspipe.errors import RspipeError
from rspipe.io.tables import read_json, read_json_if_there
from rspipe.report.comparisons import Printed, printed_of
from rspipe.report.scores import Row, is_trained


@dataclass(frozen=True)
class ResultsFolder:
    """What one evaluation recipe found."""

    path: Path
    manifest: Mapping[str, Any]
    rows: Sequence[Row]

    @classmethod
    def read(cls, path: Path) -> "ResultsFolder | None":
        """Read a results folder; None where nothing was evaluated."""
        if not (path / "results.json").is_file():
            return None
        return cls(
            path=path,
            manifest=read_json_if_there(path / "manifest.json"),
            rows=read_json(path / "results.json"),
        )

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The recipe that made it; empty in older folders."""
        found: Mapping[str, Any] = self.manifest.get("recipe") or {}
        return found

    @property
    def name(self) -> str:
        """Of its recipe."""
        return str(self.recipe.get("name") or self.path.name)

    @cached_property
    def done(self) -> list[Row]:
        """Rows with a score."""
        return [row for row in self.rows if row["status"] == "done"]

    @cached_property
    def printed(self) -> tuple[Printed, ...]:
        """Published figures of its recipe, with its own scores of the same name."""
        return printed_of(self.recipe, self.done)

    def cell_file(self, row: Row, suffix: str) -> Path:
        """File of a row's arrays (.npz) or examples (.json)."""
        return self.path / "cells" / f"{Path(str(row.get('cell'))).name}{suffix}"

    def arrays(self, row: Row) -> dict[str, np.ndarray]:
        """Read the arrays of a row; none where they are gone."""
        path = self.cell_file(row, ".npz")
        if not path.is_file():
            return {}
        with np.load(path, allow_pickle=False) as file:
            return dict(file)

    def images_root(self, row: Row) -> Path | None:
        """Folder of the benchmark's images, where the recipe says it."""
        data = self.recipe.get("data")
        return None if data is None else Path(data) / row["benchmark"]


def refuse_other_weights(folders: Sequence[ResultsFolder]) -> None:
    """Refuse folders that mean different weights by one label: they would share a column.

    Raises:
        RspipeError: naming the two folders and the label.
    """
    first: dict[str, tuple[ResultsFolder, str]] = {}
    for folder in folders:
        for row in folder.done:
            label, sha256 = str(row["encoder"]), str(row.get("encoder_sha256"))
            if not is_trained(label):
                continue
            seen, known = first.setdefault(label, (folder, sha256))
            if known != sha256:
                raise RspipeError(
                    f"{seen.path} and {folder.path}: `{label}` is of other weights in each "
                    f"(sha256 {known[:12]}, {sha256[:12]}). One page is of one encoder: judge the "
                    "other as `beside` in both recipes, or make two reports"
                )
