# SPDX-License-Identifier: Apache-2.0
"""What `rspipe duplicates` and `rspipe audit` would do: `--dry-run`. Files are listed, not read."""

from collections.abc import Sequence

from rspipe.curate.audit.search import SearchSettings, open_targets, plan_measuring
from rspipe.curate.audit.targets import Target
from rspipe.curate.listing import Listed, look
from rspipe.preview import Part, Preview


def preview(targets: Sequence[str], against: Sequence[str], settings: SearchSettings) -> Preview:
    """Say how many files there are, and how many are measured already.

    Args:
        targets: what is looked through.
        against: benchmarks that are looked for; empty: the targets among themselves.
        settings: as for the search itself.

    Raises:
        RecipeError: a target or benchmark is not there.
    """
    stages = settings.out / "stages"
    opened = open_targets([*targets, *against], settings)
    listed = [look(target.dataset, stages, settings.how) for target in opened]
    tasks = plan_measuring(opened, listed, stages)
    parts = tuple(
        Part(stage, sum(task.is_done for task in todo), len(todo), "partitions")
        for stage, todo in tasks.items()
    )
    return Preview(
        verb="audit" if against else "duplicates",
        name=", ".join(targets),
        reads=tuple(
            _described(text, target, d)
            for text, target, d in zip([*targets, *against], opened, listed, strict=True)
        ),
        writes=(f"{settings.out}: pairs, clusters, files, pictures, a page; stages/",),
        parts=(*parts, Part("compare", 0, 1, "searches", "is done anew each time")),
        facts={
            "files": sum(d.n_files for d in listed),
            "GB to read": sum(d.size_bytes for d in listed) / 1e9,
        },
    )


def _described(text: str, target: Target, listed: Listed) -> str:
    images = len(target.dataset.tree.image_paths)
    return f"{text}: {images:,} pictures in {listed.n_files:,} files"
