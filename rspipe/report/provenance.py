# SPDX-License-Identifier: Apache-2.0
"""Which weights and which corpus stand behind each encoder of the score table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rspipe.report.scores import PRETRAINED, Row, encoders_of


@dataclass(frozen=True)
class Judged:
    """An encoder of the table."""

    name: str
    place: str | None
    """Where the recipe found it; None for baselines, which lie nowhere."""
    label: str
    """What it is called there: the folder's or file's name; a model of timm's by its own."""
    sha256: tuple[str, ...]
    """Of its weights; more than one where rows of one label are of different weights."""
    corpus: str | None
    """Fingerprint of the corpus that its run read; None where its rows name none."""


def judged_of(recipes: Sequence[Mapping[str, Any]], done: Sequence[Row]) -> tuple[Judged, ...]:
    """Trace each encoder to its weights, and to the corpus that they were trained on."""
    places: dict[str, str | None] = {}
    for recipe in reversed(recipes):  # the first that names an encoder is shown
        places |= {PRETRAINED: recipe.get("encoder"), **(recipe.get("beside") or {})}
    return tuple(
        _judged(name, places.get(name), [row for row in done if row["encoder"] == name])
        for name in encoders_of(done)
    )


def _judged(name: str, place: str | None, rows: Sequence[Row]) -> Judged:
    hashes = tuple(dict.fromkeys(str(r["encoder_sha256"]) for r in rows if r.get("encoder_sha256")))
    corpora = dict.fromkeys(
        str(r["corpus_fingerprint"]) for r in rows if r.get("corpus_fingerprint")
    )
    return Judged(name, place, _label(place or ""), hashes, next(iter(corpora), None))


def _label(place: str) -> str:
    """Shorten a place to a name.

    >>> _label("/data/runs/b16"), _label("timm/convnext_atto.d2_in1k@/data/a.pth"), _label("")
    ('b16', 'timm/convnext_atto.d2_in1k', '')
    """
    return place.partition("@")[0] if place.startswith("timm/") else Path(place).name
