"""The folder of a run: what belongs to it, and whether it is the run we think it is."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import yaml

from rspipe import __version__
from rspipe.errors import RunError
from rspipe.io.provenance import code_commit
from rspipe.models.encoder import CARD_FILE, WEIGHTS_FILE
from rspipe.recipe import fingerprint
from rspipe.schema import SCHEMA_VERSION
from rspipe.train.checkpoint import write_aside
from rspipe.train.config import PretrainRecipe, PretrainWhat

# Raise it when the same recipe would give other weights than before.
TRAINER_VERSION = 2

_MANIFEST = "manifest.json"
_RECIPE = "run.yaml"


class RunFolder:
    """One run on disk.

    Args:
        recipe: resolved: `what.precision` says what it became.
        corpus_fingerprint: of the corpus that is read.
    """

    def __init__(self, recipe: PretrainRecipe, corpus_fingerprint: str) -> None:
        self.path = Path(recipe.out or f"data/runs/{recipe.name}")
        self.recipe = recipe
        self.corpus_fingerprint = corpus_fingerprint
        self.fingerprint = run_fingerprint(recipe.what, corpus_fingerprint)
        self.checkpoints = self.path / "checkpoint"
        self.pictures = self.path / "pictures"

    def open(self) -> None:
        """Make the folder, or check that it holds this run.

        Raises:
            RunError: it holds another run; nothing is changed then, and no setting makes rspipe
                delete it, as hours of work may lie there.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        note = self.path / _RECIPE
        if note.is_file():
            there = yaml.safe_load(note.read_text())
            if there.get("fingerprint") != self.fingerprint:
                raise RunError(
                    f"{self.path} holds another run ({self._difference(there)}); give this one "
                    "another name or out, or delete that folder"
                )
        write_aside(note, yaml.safe_dump(self._note(), sort_keys=False))

    def _note(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "trainer_version": TRAINER_VERSION,
            "corpus_fingerprint": self.corpus_fingerprint,
            **self.recipe.model_dump(mode="json"),
        }

    def _difference(self, there: dict[str, Any]) -> str:
        """Name what differs from the run that is there."""
        keys = ("trainer_version", "corpus_fingerprint", "what")
        here = self._note()
        ours, theirs = (_flat({k: note.get(k) for k in keys}) for note in (here, there))
        names = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
        return ", ".join(f"{k}: {theirs.get(k)} there, {ours.get(k)} here" for k in names[:5])

    def is_complete(self) -> bool:
        """Whether this very run has ended here."""
        path = self.path / _MANIFEST
        if not all((self.path / name).is_file() for name in (_MANIFEST, WEIGHTS_FILE, CARD_FILE)):
            return False
        manifest = json.loads(path.read_text())
        return manifest["complete"] is True and manifest["fingerprint"] == self.fingerprint

    def write_manifest(self, results: dict[str, Any]) -> None:
        """Declare the run complete."""
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "rspipe_version": __version__,
            "torch_version": torch.__version__,
            "code_commit": code_commit(),
            "fingerprint": self.fingerprint,
            "corpus_fingerprint": self.corpus_fingerprint,
            "recipe": self.recipe.model_dump(mode="json"),
            "encoder_sha256": hashlib.sha256((self.path / WEIGHTS_FILE).read_bytes()).hexdigest(),
            **results,
            "complete": True,
        }
        write_aside(self.path / _MANIFEST, json.dumps(manifest, indent=2) + "\n")


def run_fingerprint(what: PretrainWhat, corpus_fingerprint: str) -> str:
    """Hash what decides the weights: recipe, corpus, and the version of this trainer."""
    return fingerprint(TRAINER_VERSION, what, corpus_fingerprint)


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {
        key: leaf
        for inner, part in value.items()
        for key, leaf in _flat(part, f"{name}.{inner}" if name else inner).items()
    }
