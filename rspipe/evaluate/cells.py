# SPDX-License-Identifier: Apache-2.0
"""Finished cells (benchmark x protocol x encoder) on disk: a killed run repeats none."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rspipe.errors import RspipeError
from rspipe.evaluate.base import EvalResult, Scores
from rspipe.io.tables import read_json, write_json

_DRAWS = "headline_draws"


@dataclass(frozen=True)
class CellStore:
    """`<fingerprint>.json` holds the row and says that the cell is whole; `.npz` its arrays."""

    folder: Path

    def load(self, cell: str) -> EvalResult | None:
        """Read the row of a finished cell; None where it is still to be computed.

        Raises:
            RspipeError: the file is not one that `save` wrote.
        """
        path = self.folder / f"{cell}.json"
        if not path.is_file():
            return None
        try:
            return EvalResult.model_validate_json(json.dumps(read_json(path)["row"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RspipeError(f"{path}: not a finished cell; delete it and run again") from error

    def draws(self, cell: str) -> np.ndarray | None:
        """Read the headline score of each resample; None where the cell kept none."""
        path = self.folder / f"{cell}.npz"
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            draws: np.ndarray | None = arrays.get(_DRAWS)
        return draws

    def save(self, row: EvalResult, scores: Scores | None) -> None:
        """Write a cell: arrays first, so that a row on disk never lacks them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = _arrays_of(scores)
        if arrays:
            partial = self.folder / f".{row.cell}.npz.partial"
            with partial.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
            partial.replace(self.folder / f"{row.cell}.npz")
        examples = scores.examples if scores is not None else []
        value = {"row": row.model_dump(mode="json"), "examples": examples}
        write_json(value, self.folder / f"{row.cell}.json")


def _arrays_of(scores: Scores | None) -> dict[str, np.ndarray]:
    if scores is None:
        return {}
    draws = {} if scores.estimates is None else {_DRAWS: scores.estimates.draws}
    return {**scores.arrays, **draws}
