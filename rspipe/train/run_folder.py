# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: what belongs to it, and whether it is the run we think it is."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import yaml

from rspipe import __version__
from rspipe.errors import RunError, WeightsError
from rspipe.io.provenance import code_commit
from rspipe.models.encoder import CARD_FILE, WEIGHTS_FILE
from rspipe.recipe import fingerprint
from rspipe.schema import SCHEMA_VERSION
from rspipe.train.checkpoint import write_aside
from rspipe.train.config import InitFrom, PretrainRecipe, PretrainWhat
from rspipe.train.sinks import flat

# Raise it when the same recipe would give other weights than before.
TRAINER_VERSION = 3

_MANIFEST = "manifest.json"
RECIPE_FILE = "run.yaml"
CHECKPOINTS = "checkpoint"


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
        self.start = hash_weights(recipe.what.init_from)
        self.fingerprint = run_fingerprint(recipe.what, corpus_fingerprint, self.start)
        self.checkpoints = self.path / CHECKPOINTS
        self.pictures = self.path / "pictures"
        self.nonfinite = self.path / "nonfinite.json"

    def open(self, may_write: bool = True) -> None:
        """Make the folder, or check that it holds this run.

        Args:
            may_write: of several processes one writes.

        Raises:
            RunError: it holds another run; nothing is changed then, and no setting makes rspipe
                delete it, as hours of work may lie there.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.check()
        if may_write:
            write_aside(self.path / RECIPE_FILE, yaml.safe_dump(self._note(), sort_keys=False))

    def check(self) -> None:
        """Refuse a folder that holds another run.

        Raises:
            RunError: saying what differs.
        """
        note = self.path / RECIPE_FILE
        if note.is_file():
            there = yaml.safe_load(note.read_text())
            if there.get("fingerprint") != self.fingerprint:
                raise RunError(
                    f"{self.path} holds another run ({self._difference(there)}); give this one "
                    "another name or out, or delete that folder"
                )

    def _note(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "trainer_version": TRAINER_VERSION,
            "corpus_fingerprint": self.corpus_fingerprint,
            "initial_weights": self.start,
            **self.recipe.model_dump(mode="json"),
        }

    def _difference(self, there: dict[str, Any]) -> str:
        """Name what differs from the run that is there."""
        keys = ("trainer_version", "corpus_fingerprint", "initial_weights", "what")
        here = self._note()
        ours, theirs = (flat({k: note.get(k) for k in keys}) for note in (here, there))
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
            "initial_weights": self.start,
            "recipe": self.recipe.model_dump(mode="json"),
            "encoder_sha256": hashlib.sha256((self.path / WEIGHTS_FILE).read_bytes()).hexdigest(),
            **results,
            "complete": True,
        }
        write_aside(self.path / _MANIFEST, json.dumps(manifest, indent=2) + "\n")


def run_fingerprint(what: PretrainWhat, corpus_fingerprint: str, start: str | None = None) -> str:
    """Hash what decides the weights: recipe, corpus, and the version of this trainer.

    Args:
        what: the recipe's part; where its initial weights lie does not count.
        corpus_fingerprint: of the corpus.
        start: hash of the initial weights, if it is known already.
    """
    if what.init_from is not None:
        start = start or hash_weights(what.init_from)
        placeless = what.init_from.model_copy(update={"path": ""})
        what = what.model_copy(update={"init_from": placeless})
    return fingerprint(TRAINER_VERSION, what, corpus_fingerprint, start)


def hash_weights(start: InitFrom | None) -> str | None:
    """Hash the file of initial weights, or all weights files of a folder.

    Raises:
        WeightsError: there is none.
    """
    if start is None:
        return None
    path = Path(start.path)
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise WeightsError(f"what.init_from.path={path}: no weights there; want a file or a run")
    found = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            found.update(hashlib.file_digest(content, "sha256").digest())
    return found.hexdigest()
