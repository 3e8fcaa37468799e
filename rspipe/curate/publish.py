# SPDX-License-Identifier: Apache-2.0
"""Write a corpus's manifest and card, and put the finished corpus in its place."""

from typing import Any

import rspipe
from rspipe.corpus.card import write_card
from rspipe.corpus.format import MANIFEST
from rspipe.curate.config import CurateRecipe
from rspipe.curate.ledger import Counts, build_funnel, held_out_benchmarks
from rspipe.io.places import Place, put_in_place
from rspipe.io.provenance import code_commit
from rspipe.io.tables import read_json, write_json
from rspipe.schema import SCHEMA_VERSION


def publish(
    recipe: CurateRecipe,
    folder: Place,
    corpus_fingerprint: str,
    counts: Counts,
    checksums: dict[str, str],
) -> list[dict[str, Any]]:
    """Write manifest and card, then put the corpus in its place.

    Args:
        recipe: names the corpus and its place.
        folder: where its shards and its ledger lie.
        corpus_fingerprint: hash of all that made it.
        counts: of the rows of its ledger.
        checksums: SHA-256 of each file, by posix path in the folder.

    Returns:
        The funnel.
    """
    funnel = build_funnel(counts)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": recipe.name,
        "fingerprint": corpus_fingerprint,
        "rspipe_version": rspipe.__version__,
        "code_commit": code_commit(),
        "recipe": recipe.model_dump(mode="json"),
        "funnel": funnel,
        "files": checksums,
    }
    write_card(folder, manifest, held_out_benchmarks(counts))
    write_json(manifest, folder / MANIFEST)
    put_in_place(folder, recipe.corpus_folder, MANIFEST)
    return funnel


def is_published(folder: Place, corpus_fingerprint: str) -> bool:
    """Whether the corpus lies there, and lacks nothing.

    One that lacks tiles, since their images had gone when they were to be packed, is built again:
    they may be back.
    """
    if not (folder / MANIFEST).is_file():
        return False
    manifest = read_json(folder / MANIFEST)
    lost = manifest["funnel"][-1]["dropped"]
    return manifest["fingerprint"] == corpus_fingerprint and not lost
