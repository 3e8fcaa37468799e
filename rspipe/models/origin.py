# SPDX-License-Identifier: Apache-2.0
"""Where weights come from, as far as it is known: what a model card must say."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from rspipe import __version__
from rspipe.corpus.reader import Corpus
from rspipe.errors import CorpusError, WeightsError
from rspipe.models.checkpoint import sha256_of
from rspipe.models.encoder import Encoder
from rspipe.models.importing import ImportRules

_MANIFEST = "manifest.json"
_IMPORT = "import.json"


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
    if (folder / _IMPORT).is_file():
        return _of_import(folder)
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


def note_import(folder: Path, source: Path, rules: ImportRules, encoder: Encoder) -> None:
    """Write beside an imported encoder where it comes from and what was done to it."""
    note = {
        "rspipe_version": __version__,
        "source": source.name,
        "sha256": sha256_of(source),
        "rules": {name: value for name, value in asdict(rules).items() if value},
        "report": encoder.report and encoder.report.as_dict(),
    }
    (folder / _IMPORT).write_text(json.dumps(note, indent=2) + "\n")


def _of_import(folder: Path) -> Origin:
    path = folder / _IMPORT
    try:
        note = json.loads(path.read_text())
        hashes = ", ".join(f"{name} `{digest}`" for name, digest in note["sha256"].items())
        text = (
            f"Imported from `{note['source']}` (layout {note['report']['layout']}; sha256 of "
            f"{hashes}) with rules `{json.dumps(note['rules'])}`; `{_IMPORT}` of the encoder's "
            "folder tells what became of every key."
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: not the note of an import ({error!r})") from error
    return Origin(folder.resolve().name, note=text)


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
