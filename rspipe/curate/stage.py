# SPDX-License-Identifier: Apache-2.0
"""Where a stage leaves its tables, and how it knows that its work is done.

A stage's folder is named by a fingerprint: the stage's version, the part of its config that
changes results, and the fingerprint of its input. So a table can only be reused where it would
come out the same, changed settings never mix, and a killed run goes on where it stopped.
"""

from dataclasses import dataclass
from typing import Any

from rspipe.io.places import Place
from rspipe.recipe import fingerprint


@dataclass(frozen=True)
class StageFolder:
    """One stage's output, for one configuration of one input."""

    stage: str
    fingerprint: str
    path: Place

    @classmethod
    def of(cls, stages: Place, stage: str, version: int, config: Any, source: str) -> "StageFolder":
        """Name the folder for a stage.

        Args:
            stages: folder of all stages.
            stage: the stage's name.
            version: raised whenever the stage's code changes its results.
            config: the part of the recipe that changes this stage's results.
            source: fingerprint of the stage's input.
        """
        own = fingerprint(stage, version, config, source)
        return cls(stage, own, stages / f"{stage}-{own}")

    def part(self, index: int) -> Place:
        """Path of one partition's table."""
        return self.path / f"part-{index:05d}.parquet"

    def table(self, name: str) -> Place:
        """Path of a table of the whole stage."""
        return self.path / f"{name}.parquet"
