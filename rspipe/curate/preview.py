# SPDX-License-Identifier: Apache-2.0
"""What `rspipe curate` would do: `--dry-run`. Files are listed; no pixel is read.

Nothing is written but what listing needs: compressed tars are unpacked into the cache.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from rspipe.curate.config import CurateRecipe
from rspipe.curate.datasets import iter_datasets
from rspipe.curate.listing import Listed, look
from rspipe.curate.planning import corpus_fingerprint, plan_matching, plan_measuring
from rspipe.curate.publish import is_published
from rspipe.io.places import Place
from rspipe.io.tables import is_sound_table
from rspipe.preview import Part, Preview


def preview(recipe: CurateRecipe) -> Preview:
    """Say which tables of which stages are done, and how much there is to read.

    Raises:
        RecipeError: the data folder, a dataset or a card is wrong.
    """
    listed = [look(d, recipe.stages_folder, recipe.how) for d in iter_datasets(recipe)]
    is_done = is_published(recipe.corpus_folder, corpus_fingerprint(recipe, listed))
    return Preview(
        verb="curate",
        name=recipe.name,
        reads=tuple(_described(d, recipe) for d in listed),
        writes=(f"{recipe.corpus_folder}", f"{recipe.stages_folder} (tables of the stages)"),
        parts=_parts(recipe, listed, is_done=is_done),
        facts={
            "data sets": len(listed),
            "files": sum(d.n_files for d in listed),
            "GB to read": sum(d.size_bytes for d in listed) / 1e9,
            "GB free for the stages": _free_gb(recipe.stages_folder),
            "GB free for the corpus": _free_gb(recipe.corpus_folder),
        },
        is_done=is_done,
    )


def _described(listed: Listed, recipe: CurateRecipe) -> str:
    held_out = " (held out)" if listed.card.benchmark_splits == "all" else ""
    size = f"{listed.n_files:,} files, {listed.size_bytes / 1e6:,.1f} MB"
    return f"{recipe.data}/{listed.card.name}: {size}{held_out}"


def _parts(recipe: CurateRecipe, listed: Sequence[Listed], *, is_done: bool) -> tuple[Part, ...]:
    tasks, measured = plan_measuring(recipe, listed)
    deduped, clean = plan_matching(recipe, measured)
    n = len(tasks["screen"])
    tables = {
        **{stage: [task.target for task in todo] for stage, todo in tasks.items()},
        "dedup": [deduped.part(i) for i in range(n)],
        "leakage": [clean.part(i) for i in range(n)],
    }
    done = {stage: sum(map(is_sound_table, found)) for stage, found in tables.items()}
    parts = [Part(stage, done[stage], n, "partitions") for stage in tables]
    return (*parts, Part("pack", int(is_done), 1, "corpora"))


def _free_gb(folder: Place) -> float | None:
    """Free space where a folder is or will be; None in object storage."""
    if not isinstance(folder, Path):
        return None
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.is_dir())
    return shutil.disk_usage(there).free / 1e9
