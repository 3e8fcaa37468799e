# SPDX-License-Identifier: Apache-2.0
"""Which tables a recipe leads to, by name: what the runner makes and `--dry-run` looks for."""

from collections.abc import Sequence

from rspipe.curate import exclude as exclude_stage
from rspipe.curate import ingest as ingest_stage
from rspipe.curate import leakage as leakage_stage
from rspipe.curate import pack as pack_stage
from rspipe.curate import screen as screen_stage
from rspipe.curate import slice as slice_stage
from rspipe.curate.config import CurateRecipe
from rspipe.curate.dedup import stage as dedup_stage
from rspipe.curate.engine import Task
from rspipe.curate.listing import Listed
from rspipe.curate.stage import StageFolder
from rspipe.recipe import fingerprint
from rspipe.schema import SCHEMA_VERSION


def plan_measuring(
    recipe: CurateRecipe, listed: Sequence[Listed]
) -> tuple[dict[str, list[Task]], str]:
    """Plan the work from ingest to screen: tasks by stage, and the fingerprint of what they leave.

    Each data set has folders of its own: another one beside it changes nothing of its work.
    """
    what, stages = recipe.what, recipe.stages_folder
    tasks: dict[str, list[Task]] = {"ingest": [], "exclude": [], "slice": [], "screen": []}
    fingerprints = []
    for d in listed:
        name, cards, storages = d.card.name, {d.card.name: d.card}, {d.card.name: d.storage}
        ingested = StageFolder.of(
            stages, "ingest", ingest_stage.VERSION, None, d.folder.fingerprint
        )
        kept = StageFolder.of(
            stages, "exclude", exclude_stage.VERSION, what.exclude, ingested.fingerprint
        )
        sliced = StageFolder.of(stages, "slice", slice_stage.VERSION, what.slice, kept.fingerprint)
        screened = StageFolder.of(
            stages, "screen", screen_stage.VERSION, what.screen, sliced.fingerprint
        )
        fingerprints.append(screened.fingerprint)
        for i in range(d.n_partitions):
            opened = ingest_stage.IngestItem(storages[name], d.card, d.folder.part(i))
            tasks["ingest"].append(Task(ingest_stage.ingest, opened, ingested.part(i)))
            looked_at = exclude_stage.ExcludeItem(ingested.part(i), cards, what.exclude)
            tasks["exclude"].append(Task(exclude_stage.exclude, looked_at, kept.part(i)))
            cut = slice_stage.SliceItem(kept.part(i), storages, cards, what.slice)
            tasks["slice"].append(Task(slice_stage.slice_images, cut, sliced.part(i)))
            judged = screen_stage.ScreenItem(sliced.part(i), what.screen)
            tasks["screen"].append(Task(screen_stage.screen_part, judged, screened.part(i)))
    return tasks, fingerprint(fingerprints)


def plan_matching(recipe: CurateRecipe, measured: str) -> tuple[StageFolder, StageFolder]:
    """Name the folders of dedup and leakage.

    Args:
        recipe: of the corpus.
        measured: fingerprint of the tiles' tables.
    """
    what, stages = recipe.what, recipe.stages_folder
    deduped = StageFolder.of(stages, "dedup", dedup_stage.VERSION, what.dedup, measured)
    alike = what.leakage.rules(what.dedup).model_dump()
    clean = StageFolder.of(stages, "leakage", leakage_stage.VERSION, alike, deduped.fingerprint)
    return deduped, clean


def corpus_fingerprint(recipe: CurateRecipe, listed: Sequence[Listed]) -> str:
    """Hash all that makes a corpus: inputs, recipe, stage versions."""
    modules = (
        *(ingest_stage, exclude_stage, slice_stage, screen_stage),
        *(dedup_stage, leakage_stage, pack_stage),
    )
    versions = [SCHEMA_VERSION, *(module.VERSION for module in modules)]
    return fingerprint(versions, recipe.what, [d.fingerprint for d in listed])
