"""Which weights and which corpus stand behind each encoder of the score table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rspipe.io.tables import read_json
from rspipe.report.scores import PRETRAINED, Row, encoders_of


@dataclass(frozen=True)
class Judged:
    """An encoder of the table."""

    name: str
    place: str | None
    """Where the recipe found it; None for baselines, which lie nowhere."""
    sha256: tuple[str, ...]
    """Of its weights; more than one where rows of one label are of different weights."""
    corpus: str | None
    """Fingerprint of the corpus that its run read; None where no run says so."""


def judged_of(recipe: Mapping[str, Any], done: Sequence[Row]) -> tuple[Judged, ...]:
    """Trace each encoder to its weights, and to the corpus of its run if that is still there."""
    places = {PRETRAINED: recipe.get("encoder"), **(recipe.get("beside") or {})}
    return tuple(
        _judged(name, places.get(name), [row for row in done if row["encoder"] == name])
        for name in encoders_of(done)
    )


def _judged(name: str, place: str | None, rows: Sequence[Row]) -> Judged:
    hashes = tuple(dict.fromkeys(str(r["encoder_sha256"]) for r in rows if r.get("encoder_sha256")))
    return Judged(name, place, hashes, None if place is None else _corpus_of(Path(place), hashes))


def _corpus_of(run: Path, hashes: Sequence[str]) -> str | None:
    """Read the corpus of a run, unless its weights are no longer those that were judged."""
    if not (run / "manifest.json").is_file():
        return None
    said = read_json(run / "manifest.json")
    if list(hashes) != [said.get("encoder_sha256")]:
        return None
    corpus = said.get("corpus_fingerprint")
    return None if corpus is None else str(corpus)
