# SPDX-License-Identifier: Apache-2.0
"""Build the page: count, draw, gather, and write one file that needs no other."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import typer

from rspipe.corpus.format import BROWSER
from rspipe.corpus.reader import Corpus
from rspipe.errors import RspipeError
from rspipe.io.places import Place, size_bytes
from rspipe.io.tables import write_text
from rspipe.report.browser.census import Cell, count_cells, rows_by_kind
from rspipe.report.browser.details import details_of, kept_pictures
from rspipe.report.browser.draw import Draw
from rspipe.report.browser.gather import Gathered, gather, unique
from rspipe.report.browser.page import Page, render
from rspipe.report.browser.payload import Contents, payload_of

ROWS = 8_000
"""Rows that are drawn, unless another number is asked for."""
MOST_ROWS = 20_000
"""More make a page that browsers open slowly: about 4 kB a picture."""
MOST_BYTES = 100_000_000
"""A larger page is not opened on a phone or an old notebook; pictures are left out before."""
_HIT_SHARE = 0.5


@dataclass(frozen=True)
class Sample:
    """What is drawn, and of what."""

    cells: Counter[Cell]
    keys: list[str]
    level: int
    """Every kind (source and fate) has at least so many rows on the page, or all that it has."""


def build_browser(
    corpus: Place, out: Place | None = None, rows: int = ROWS, seed: int = 0
) -> Place:
    """Write the page of a corpus; the same corpus, `rows` and `seed` give the same bytes.

    Args:
        corpus: a finished corpus.
        out: the page; None: `browser.html` in the corpus's folder.
        rows: tiles and dropped files to draw at most. Their survivors, copies, benchmark pictures
            and neighbours come on top: in all at most 6.4 times as many, as a rule far fewer.
        seed: another one draws others.

    Returns:
        The page.

    Raises:
        CorpusError: no finished corpus is there.
        RspipeError: `rows` is more than a page can hold.
    """
    started = time.perf_counter()
    if not 1 <= rows <= MOST_ROWS:
        raise RspipeError(f"rows={rows:,}: a page holds 1 to {MOST_ROWS:,}; see --rows")
    opened = Corpus.open(corpus)
    out = corpus / BROWSER if out is None else out
    sample = draw_sample(opened, rows, seed)
    contents = _contents(opened, sample, seed, rows)
    page = render(payload_of(contents), MOST_BYTES)
    write_text(page.text, out)
    total, shown = sum(sample.cells.values()), contents.gathered.rows.num_rows
    seconds = time.perf_counter() - started
    typer.echo(
        f"{out}: {shown:,} of {total:,} tiles and dropped files, "
        f"{size_bytes(out) / 1e6:.1f} MB in {seconds:.1f} s{_left_out(page)}"
    )
    return out


def draw_sample(corpus: Corpus, rows: int, seed: int) -> Sample:
    """Count everything, and draw of every kind; of what hit a benchmark half as many again."""
    cells: Counter[Cell] = Counter()
    of_all, of_hits = Draw(rows, seed), Draw(int(_HIT_SHARE * rows), seed)
    for group in rows_by_kind(corpus):
        cells += count_cells(group)
        _add(of_all, group)
        _add(of_hits, group.filter(pc.not_equal(group["benchmark"], "")))
    keys = unique([*of_all.drawn(), *of_hits.drawn()])
    return Sample(cells, keys, of_all.level)


def _left_out(page: Page) -> str:
    return f"; {page.left_out:,} pictures left out, to stay openable" if page.left_out else ""


def _add(draw: Draw, rows: pa.Table) -> None:
    kinds = pc.binary_join_element_wise(rows["source"], rows["fate"], "\t")
    draw.add(kinds.to_numpy(zero_copy_only=False), rows["key"].to_numpy(zero_copy_only=False))


def _contents(corpus: Corpus, sample: Sample, seed: int, rows: int) -> Contents:
    gathered = gather(corpus, sample.keys)
    tile_ids = unique(gathered.rows["tile_id"].to_pylist())
    details, pictures = details_of(corpus, _kept(gathered))
    pictures |= dict(kept_pictures(corpus, [name for name in tile_ids if name not in pictures]))
    said: dict[str, Any] = {"seed": seed, "rows": rows, "level": sample.level}
    said["most_hits"] = int(_HIT_SHARE * rows)
    return Contents(corpus.manifest, sample.cells, said, gathered, details, pictures)


def _kept(gathered: Gathered) -> list[str]:
    is_kept = pc.and_(
        pc.equal(gathered.rows["level"], "tile"), gathered.rows["drop_stage"].is_null()
    )
    return unique(gathered.rows.filter(is_kept)["tile_id"].to_pylist())
