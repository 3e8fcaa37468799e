# SPDX-License-Identifier: Apache-2.0
"""What ingest says of every file of a dataset, for tests that look at rows and not at stages."""

from pathlib import Path
from typing import Any

from rspipe.curate.config import CurateHow, CurateRecipe
from rspipe.curate.datasets import iter_datasets
from rspipe.curate.ingest import IngestItem, ingest
from rspipe.curate.listing import write_listing


def ingested(data: Path, stages: Path, name: str) -> dict[str, dict[str, Any]]:
    """Ingest one dataset of a data folder: rows of the image table by path.

    Args:
        data: folder of dataset folders.
        stages: where listings and the cache go.
        name: the dataset's folder.
    """
    recipe = CurateRecipe(name="t", data=data, stages=stages, what={"datasets": (name,)})
    (dataset,) = iter_datasets(recipe)
    listed = write_listing(dataset, stages, CurateHow(files_per_partition=10))
    parts = [listed.folder.part(index) for index in range(listed.n_partitions)]
    tables = [ingest(IngestItem(listed.storage, listed.card, part)) for part in parts]
    return {row["source_path"]: row for table in tables for row in table.to_pylist()}
