# SPDX-License-Identifier: Apache-2.0
"""Build the page: read the artefacts, fill the templates, write one file."""

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rspipe import __version__
from rspipe.corpus.format import BROWSER, MANIFEST
from rspipe.corpus.reader import Corpus
from rspipe.errors import RspipeError
from rspipe.io.tables import write_text
from rspipe.report.config import ReportRecipe
from rspipe.report.corpus_section import CorpusSection, describe_corpus
from rspipe.report.matches_section import LEDGER_COLUMNS, MatchesSection, describe_matches
from rspipe.report.pictures import PictureBook
from rspipe.report.results_folder import ResultsFolder
from rspipe.report.results_section import describe_results
from rspipe.report.run_section import Run, describe_run
from rspipe.report.scores import PRETRAINED


@dataclass(frozen=True)
class Link:
    """One link of the chain from corpus to score: do the hashes agree?"""

    words: str
    holds: bool


def build_report(recipe: ReportRecipe) -> Path:
    """Draw a corpus, a run and its results into one HTML page that needs no other file.

    The same artefacts give the same bytes. A part that is not there yet leaves a sentence that
    says which command makes it.

    Returns:
        The page.

    Raises:
        CorpusError: the corpus is of another schema version.
        RspipeError: neither corpus, run nor results are there, or two results folders mean other
            weights by one label.
    """
    started = time.perf_counter()
    out = recipe.out_file
    *sources, last = recipe.corpus, recipe.run, *recipe.results
    typer.echo(
        f"report {recipe.name}: reads {', '.join(map(str, sources))} and {last}, writes {out}"
    )
    page = render(recipe)
    write_text(page, out)
    seconds = time.perf_counter() - started
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.2f} MB in {seconds:.1f} s")
    return out


def render(recipe: ReportRecipe) -> str:
    """Return the page as text."""
    corpus = Corpus.open(recipe.corpus) if (recipe.corpus / MANIFEST).is_file() else None
    run = Run.read(recipe.run)
    results = [one for one in map(ResultsFolder.read, recipe.results) if one is not None]
    if corpus is None and run is None and not results:
        raise RspipeError(f"report {recipe.name}: nothing to report yet; begin with `make curate`")
    compared = [one for one in map(Run.read, recipe.compared_runs) if one is not None]
    described, matches = _describe(corpus)
    template = environment().get_template("report.html.j2")
    return template.render(
        name=recipe.name,
        recipe=recipe,
        version=__version__,
        corpus=described,
        browser=_browser_address(recipe),
        matches=matches,
        run=describe_run(run, compared) if run is not None else None,
        results=describe_results(results) if results else None,
        not_evaluated=sorted(set(recipe.results) - {one.path for one in results}),
        chain=list(_chain(corpus, run, results)),
        commits=_commits(corpus, run),
    )


def _browser_address(recipe: ReportRecipe) -> str | None:
    """Address of the corpus's browser page from the report; None where nobody made it."""
    page = recipe.corpus / BROWSER
    if not page.is_file():
        return None
    return quote(Path(os.path.relpath(page, recipe.out_file.parent)).as_posix())


def _describe(corpus: Corpus | None) -> tuple[CorpusSection | None, MatchesSection | None]:
    if corpus is None:
        return None, None
    ledger = corpus.ledger(LEDGER_COLUMNS)
    return describe_corpus(corpus, ledger), describe_matches(corpus, ledger, PictureBook(corpus))


def _chain(
    corpus: Corpus | None, run: Run | None, results: Sequence[ResultsFolder]
) -> Iterator[Link]:
    """Check that the run read this corpus, and that the scores are of this run's encoder."""
    if corpus is not None and run is not None:
        holds = run.note.get("corpus_fingerprint") == corpus.fingerprint
        yield Link(f"the run was trained on {'this' if holds else 'another'} corpus", holds)
    if run is not None:
        judged = {
            row.get("encoder_sha256")
            for folder in results
            for row in folder.rows
            if row.get("encoder") == PRETRAINED
        }
        if judged and "encoder_sha256" in run.manifest:
            holds = judged == {run.manifest["encoder_sha256"]}
            yield Link(f"the scores are of {'this' if holds else 'another'} run's encoder", holds)


def _commits(corpus: Corpus | None, run: Run | None) -> list[tuple[str, str]]:
    """Name the code that made each artefact."""
    found: list[tuple[str, Any]] = []
    if corpus is not None:
        found.append(("corpus", corpus.manifest.get("code_commit")))
    if run is not None:
        found.append(("run", run.manifest.get("code_commit")))
    return [(name, str(commit)[:12]) for name, commit in found if commit]


def breakable(path: str) -> Markup:
    """Let a long path break after its slashes and joints.

    >>> str(breakable("a<b/c"))
    'a&lt;b/<wbr>c'
    """
    return Markup("<wbr>").join(re.findall(r"[^/_.-]*[/_.-]|[^/_.-]+", path))


def environment() -> Environment:
    """The templates with their filters."""
    environment = Environment(
        loader=PackageLoader("rspipe.report"),
        autoescape=True,  # file names are written by strangers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["n"] = lambda value: f"{value:,}"
    environment.filters["breakable"] = breakable
    return environment
