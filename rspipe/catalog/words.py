# SPDX-License-Identifier: Apache-2.0
"""Cards in words: the lines of `rspipe catalog list` and `show`. What is not known says so."""

import textwrap
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, get_args

from rspipe.errors import RecipeError
from rspipe.recipe import nearest_name
from rspipe.schema import AnnotationKind, DatasetCard, Download, Task

UNKNOWN = "unknown"
_WIDTH = 100
_LABEL = 16


def select(
    cards: Sequence[DatasetCard],
    task: str | None = None,
    layout: str | None = None,
    licence: str | None = None,
    benchmark: bool = False,
) -> list[DatasetCard]:
    """Keep the cards that have all of these.

    Args:
        cards: the cards to choose from.
        task: a task, or a kind of annotation such as `captions`.
        layout: a layout's name.
        licence: an SPDX expression; `*` stands for any letters, `unknown` for none stated.
        benchmark: only cards with splits that are held out.

    Raises:
        RecipeError: no task, annotation or layout has that name.
    """
    tasks = (*get_args(Task), *get_args(AnnotationKind))
    _check("task", task, tasks)
    _check("layout", layout, {card.layout for card in cards})
    return [
        card
        for card in cards
        if task in {None, card.task, *card.annotations}
        and layout in {None, card.layout}
        and _licence_matches(card, licence)
        and (card.benchmark_splits or not benchmark)
    ]


def _check(option: str, value: str | None, valid: Sequence[str] | set[str]) -> None:
    if value is not None and value not in valid:
        raise RecipeError(f"--{option}: nothing is called {value!r}{nearest_name(value, valid)}")


def _licence_matches(card: DatasetCard, pattern: str | None) -> bool:
    return pattern is None or fnmatchcase((card.licence or UNKNOWN).lower(), pattern.lower())


def table(cards: Sequence[DatasetCard]) -> list[str]:
    """Lay cards out as a table, one line each."""
    head = ("name", "task", "images", "size px", "GSD m", "licence", "layout", "held out")
    return columns([head, *(_row(card) for card in cards)])


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Set rows of text in columns, the first row as their heads.

    >>> columns([("a", "b"), ("long", "1")])
    ['a     b', '----  -', 'long  1']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _row(card: DatasetCard) -> tuple[str, ...]:
    held_out = card.benchmark_splits
    images = images_of(card)
    return (
        card.name,
        card.task,
        UNKNOWN if images is None else f"{images:,}",
        _span(card.image_px),
        _span(card.gsd_m),
        card.licence or UNKNOWN,
        card.layout,
        held_out if isinstance(held_out, str) else ", ".join(held_out),
    )


def images_of(card: DatasetCard) -> int | None:
    """Return how many images the card states: its total, else the sum of its splits.

    >>> images_of(DatasetCard(name="x", counts={"train": 2, "test": 1}))
    3
    """
    return card.n_images if card.n_images is not None else sum(card.counts.values()) or None


def describe(card: DatasetCard) -> list[str]:
    """Tell all that is known of a card, one fact a line; what is not known is `unknown`."""
    lines = [card.title or card.name]
    for label, value in _facts(card):
        # An address must stay whole, to be clicked.
        body = textwrap.wrap(
            value, _WIDTH - _LABEL - 2, break_on_hyphens=False, break_long_words=False
        ) or [UNKNOWN]
        lines.append(f"  {label:<{_LABEL}}{body[0]}")
        lines += [" " * (_LABEL + 2) + rest for rest in body[1:]]
    return lines


def _facts(card: DatasetCard) -> Iterator[tuple[str, str]]:
    yield "name", card.name
    yield "also called", _words(card.aliases) or "nothing else"
    yield "task", card.task
    yield "annotations", _words(card.annotations)
    yield "layout", card.layout + "".join(f", {k}: {_plain(v)}" for k, v in card.options.items())
    yield "version", card.version or ""
    yield "images", _images(card)
    yield "size", _span(card.image_px, " px")
    yield "GSD", _span(card.gsd_m, " m")
    yield "bands", _words(card.bands or ())
    yield "platform", card.platform or ""
    yield "sensors", _words(card.sensors)
    yield "classes", _classes(card)
    yield "licence", card.licence or ""
    yield from _stated("", card.licence_url, card.licence_note)
    yield "attribution", card.attribution or ""
    yield "redistributable", {True: "yes", False: "no", None: ""}[card.redistributable]
    yield "held out", _held_out(card)
    yield "same pictures", _words(card.shares_imagery_with) or "no other card, as far as is known"
    yield "on disk", "" if card.size_bytes is None else size(card.size_bytes)
    yield from _each("download", [_download(d) for d in card.downloads])
    yield "Hugging Face", card.hf_id or ""
    yield from _each("home", card.urls)
    yield "paper", card.citation or ""
    yield from _stated("", card.doi and f"doi:{card.doi}", card.arxiv and f"arXiv:{card.arxiv}")
    yield from _stated("known fault", *card.known_faults)
    yield from _each("read in", card.sources)


def _stated(label: str, *values: str | None) -> Iterator[tuple[str, str]]:
    yield from ((label, value) for value in values if value)


def _each(label: str, values: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield label, values[0] if values else ""
    yield from (("", value) for value in values[1:])


def _words(values: Sequence[str]) -> str:
    return ", ".join(values)


def _plain(value: Any) -> str:
    return "/".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)


def _images(card: DatasetCard) -> str:
    total = images_of(card)
    splits = ", ".join(f"{split} {count:,}" for split, count in card.counts.items())
    return "" if total is None else f"{total:,}" + (f" ({splits})" if splits else "")


def _span(span: tuple[float, float] | None, unit: str = "") -> str:
    if span is None:
        return UNKNOWN
    low, high = (f"{value:g}" for value in span)
    return (low if low == high else f"{low} to {high}") + unit


def _classes(card: DatasetCard) -> str:
    if isinstance(card.classes, dict):
        names = ", ".join(f"{name} = {value}" for name, value in card.classes.items())
    else:
        names = _words(card.classes or ())
    count = len(card.classes or ()) or card.n_classes
    return "" if count is None else f"{count}" + (f": {names}" if names else "")


def _held_out(card: DatasetCard) -> str:
    if card.benchmark_splits == "all":
        return "every image"
    return _words(card.benchmark_splits) or "nothing"


def _download(download: Download) -> str:
    checked = "sha256" if download.sha256 else "md5" if download.md5 else "no checksum"
    size_text = "size unknown" if download.size_bytes is None else size(download.size_bytes)
    by = "by hand: " if download.manual else ""
    return f"{by}{download.url} ({size_text}, {checked})"


def size(size_bytes: float) -> str:
    """Write a number of bytes as people read it, in powers of 1000.

    >>> size(3_533_384), size(512)
    ('3.5 MB', '512 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
