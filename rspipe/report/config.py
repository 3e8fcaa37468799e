# SPDX-License-Identifier: Apache-2.0
"""The report recipe: which artefacts, and where the page goes."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from rspipe.recipe import Strict


def _one_or_many(given: object) -> object:
    if isinstance(given, list):
        return tuple(given)
    return (given,) if isinstance(given, str | Path) else given


class ReportRecipe(Strict):
    """One page over a corpus, a run and its results; what is not there yet is said on the page."""

    name: str
    corpus: Path
    """Folder that `make curate` wrote."""
    run: Path
    """Folder that `make pretrain` wrote."""
    compared_runs: tuple[Path, ...] = ()
    """Further runs whose loss stands beside it."""
    results: Annotated[tuple[Path, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
    """Folder that `make eval` wrote, or several, of recipes that judge one encoder on different
    benchmarks or by different settings: one table of all of them."""
    out: Path | None = None
    """The page; null: report.html in the (first) results folder."""

    @property
    def out_file(self) -> Path:
        """Where the page goes."""
        return self.out if self.out is not None else self.results[0] / "report.html"
