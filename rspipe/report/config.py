# SPDX-License-Identifier: Apache-2.0
"""The report recipe: which artefacts, and where the page goes."""

from pathlib import Path

from rspipe.recipe import Strict


class ReportRecipe(Strict):
    """One page over a corpus, a run and its results; what is not there yet is said on the page."""

    name: str
    corpus: Path
    """Folder that `make curate` wrote."""
    run: Path
    """Folder that `make pretrain` wrote."""
    compared_runs: tuple[Path, ...] = ()
    """Further runs whose loss stands beside it."""
    results: Path
    """Folder that `make eval` wrote."""
    out: Path | None = None
    """The page; null: <results>/report.html."""

    @property
    def out_file(self) -> Path:
        """Where the page goes."""
        return self.out if self.out is not None else self.results / "report.html"
