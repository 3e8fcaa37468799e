"""Where weights come from, as far as it is known: what a model card must say."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rspipe.corpus.reader import Corpus
from rspipe.errors import CorpusError, WeightsError

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Origin:
    """Provenance of an encoder."""

    name: str
    note: str = "Nothing is noted of how these weights were made."
    objective: str = ""
    """Empty: they do not come from a run of rspipe."""
    fingerprint: str = ""
    corpus_fingerprint: str = ""
    images_seen: int = 0
    code_commit: str = ""
    recipe: str = ""
    """JSON."""
    licences: tuple[tuple[str, int], ...] = ()
    """Licences of the corpus with their tiles, most first; empty where it is not at hand."""


def read_origin(folder: Path) -> Origin:
    """Read what a run noted of itself; an encoder from elsewhere has noted little.

    Raises:
        WeightsError: the folder's manifest is no manifest of a finished run.
    """
    path = folder / _MANIFEST
    if not path.is_file():
        return Origin(folder.resolve().name)
    try:
        manifest = json.loads(path.read_text())
        recipe = manifest["recipe"]
        return Origin(
            name=str(recipe["name"]),
            objective=str(recipe["what"]["objective"]["name"]),
            fingerprint=str(manifest["fingerprint"]),
            corpus_fingerprint=str(manifest["corpus_fingerprint"]),
            images_seen=int(manifest["images_seen"]),
            code_commit=str(manifest.get("code_commit") or ""),
            recipe=json.dumps(recipe["what"], indent=2),
            licences=_licences(str(recipe["corpus"]), str(manifest["corpus_fingerprint"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: not the manifest of a finished run ({error!r})") from error


def _licences(corpus: str, fingerprint: str) -> tuple[tuple[str, int], ...]:
    """Count the tiles of each licence, where the corpus of the run is at hand."""
    try:
        opened = Corpus.open(corpus)
    except CorpusError:
        return ()
    if opened.fingerprint != fingerprint:
        return ()
    column = opened.table(["licence"])["licence"]
    counts = Counter[str]()
    for chunk in column.chunks:
        for count in chunk.value_counts().to_pylist():
            counts[count["values"] or "not stated"] += count["counts"]
    return tuple(counts.most_common())
