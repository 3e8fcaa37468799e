# SPDX-License-Identifier: Apache-2.0
"""ATTRIBUTION.md: whom to name for the pictures, and on which terms they may be passed on."""

import pyarrow as pa

from rspipe.corpus.format import shard_paths
from rspipe.io.places import Place
from rspipe.io.tables import open_table

_KEYS = ("dataset", "dataset_version", "licence", "licence_url", "redistributable", "attribution")


def attribution(corpus: Place) -> str:
    """Name every source of a corpus with its terms, in Markdown, sorted by name."""
    tables = [open_table(path).read(columns=list(_KEYS)) for path in shard_paths(corpus)]
    said = ["# Sources of this corpus", ""]
    if not tables:
        return "\n".join([*said, "It holds no picture.", ""])
    counts = pa.concat_tables(tables).group_by(list(_KEYS)).aggregate([([], "count_all")])
    for row in counts.sort_by("dataset").to_pylist():
        may = {True: "may", False: "may NOT", None: "not known whether they may"}
        version = f" {row['dataset_version']}" if row["dataset_version"] else ""
        terms = row["licence"] or "no licence stated"
        link = f" <{row['licence_url']}>" if row["licence_url"] else ""
        said += [
            f"## {row['dataset']}{version}: {row['count_all']:,} tiles",
            "",
            f"{row['attribution'] or 'No attribution is recorded: ask its publisher.'}",
            "",
            f"Terms: {terms}{link}; its tiles {may[row['redistributable']]} be passed on.",
            "",
        ]
    return "\n".join(said)
