# SPDX-License-Identifier: Apache-2.0
"""The corpus's README.md: a Hugging Face data set card, written from its own tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
from jinja2 import Environment

from rspipe.corpus.format import CARD, ledger_paths, shard_paths
from rspipe.io.places import Place
from rspipe.io.tables import open_table, write_text

_CARD = """\
---
pretty_name: {{ name }}
license: other
license_name: per-row
task_categories: [image-feature-extraction]
tags: [remote-sensing, rspipe]
size_categories: [{{ size_category }}]
configs:
  - config_name: default
    data_files:
      - split: train
        path: data/train-*.parquet
---
# {{ name }}

{{ "{:,}".format(tiles) }} tiles, built by rspipe {{ version }} (fingerprint `{{ fingerprint }}`).
Every file and tile that was ever looked at is in `ledger/` with its fate; `manifest.json` holds the
recipe and the checksums. Load it with
`datasets.load_dataset("parquet", data_files="data/*.parquet")`.

## What was kept, stage by stage

| stage | in | kept | dropped | reasons |
|---|---:|---:|---:|---|
{% for step in funnel -%}
| {{ step.stage }} | {{ step.rows_in }} {{ step.unit }} | {{ step.kept }} | \
{{ step.dropped.values() | sum }} | {{ reasons(step.dropped) }} |
{% endfor %}
## Where it comes from

| data set | tiles | licence | redistributable | attribution |
|---|---:|---|---|---|
{% for s in sources -%}
| {{ s.dataset }} | {{ s.tiles }} | {{ s.licence or "not stated" }} | \
{{ yes_no(s.redistributable) }} | {{ s.attribution or "" }} |
{% endfor %}
Each row carries its own licence. Tiles that are not marked as redistributable may not be passed on.

## Duplicates

{% if clusters.count -%}
{{ "{:,}".format(clusters.count) }} clusters of pictures that look the same; the largest has \
{{ "{:,}".format(clusters.largest) }}. \
{{ clusters.chained or "None" }} of them \
{{ "is" if clusters.chained == 1 else "are" }} chained: more than {{ clusters.large }} pictures, \
or two of them more than {{ clusters.wide_bits }} bits apart \
(`cluster_size`, `cluster_diameter_bits` in the ledger).
Every dropped tile matches the kept one that it names, so a chain has dropped nothing that
resembles no survivor.
{% else -%}
No two pictures look the same.
{% endif %}
## Benchmarks held out

{% if benchmarks -%}
No tile of this corpus equals or nearly equals a picture of: {{ benchmarks | join(", ") }}
(all held-out splits; file bytes, pixels, and perceptual hashes at most {{ bits }} bits apart
in 8 orientations,
verified on pixels). Every match that was removed is listed in `ledger/benchmark_hits.parquet`.
{% else -%}
None was given, so nothing is known about leakage.
{% endif %}
"""


def write_card(corpus: Place, manifest: dict[str, Any], benchmarks: Sequence[str]) -> None:
    """Write README.md of a corpus whose shards are in place.

    Args:
        corpus: the corpus's folder.
        manifest: what its manifest is going to say.
        benchmarks: datasets of which something was held out, sorted.
    """
    sources = summarise_sources(corpus)
    template = Environment(autoescape=False, keep_trailing_newline=True).from_string(_CARD)  # noqa: S701 - Markdown
    text = template.render(
        name=manifest["name"],
        version=manifest["rspipe_version"],
        fingerprint=manifest["fingerprint"],
        tiles=sum(s["tiles"] for s in sources),
        size_category=_size_category(sum(s["tiles"] for s in sources)),
        funnel=manifest["funnel"],
        sources=sources,
        benchmarks=benchmarks,
        clusters=count_clusters(corpus, manifest["recipe"]["what"]["dedup"]["max_hamming_bits"]),
        bits=manifest["recipe"]["what"]["dedup"]["max_hamming_bits"],
        reasons=lambda dropped: ", ".join(f"{k} {v}" for k, v in dropped.items()),
        yes_no=lambda value: {True: "yes", False: "no", None: "unknown"}[value],
    )
    write_text(text, corpus / CARD)


def summarise_sources(corpus: Place) -> list[dict[str, Any]]:
    """Count the tiles of each data set, with its licence and attribution."""
    keys = ["dataset", "licence", "redistributable", "attribution"]
    counts: Counter[tuple[Any, ...]] = Counter()
    for path in shard_paths(corpus):
        found = open_table(path).read(columns=keys).group_by(keys).aggregate([([], "count_all")])
        rows = found.to_pylist()
        counts.update({tuple(row[key] for key in keys): row["count_all"] for row in rows})
    order = sorted(counts, key=lambda key: [str(value) for value in key])
    return [dict(zip(keys, key, strict=True)) | {"tiles": counts[key]} for key in order]


@dataclass(frozen=True)
class ClusterCounts:
    """The clusters of pictures that look the same."""

    count: int
    largest: int
    """Pictures in the largest; 0 without any."""
    chained: int
    """Clusters of more than `large` pictures, or wider than `wide_bits`."""
    wide_bits: int
    large: int = 100


def count_clusters(corpus: Place, max_hamming_bits: int) -> ClusterCounts:
    """Count the clusters in a corpus's ledger; wide is more than twice the radius.

    Each cluster is counted at the one row that it is named by.
    """
    wide_bits = 2 * max_hamming_bits
    count = largest = chained = 0
    columns = ["tile_id", "cluster_id", "cluster_size", "cluster_diameter_bits"]
    for path in ledger_paths(corpus):
        rows = open_table(path).read(columns=columns)
        named = rows.filter(pc.equal(rows["tile_id"], rows["cluster_id"]))
        large = pc.greater(named["cluster_size"], ClusterCounts.large)
        wide = pc.greater(named["cluster_diameter_bits"], wide_bits)
        count += named.num_rows
        largest = max(largest, pc.max(named["cluster_size"]).as_py() or 0)
        chained += pc.sum(pc.or_(large, wide)).as_py() or 0
    return ClusterCounts(count, largest, chained, wide_bits)


def _size_category(tiles: int) -> str:
    """Name the Hugging Face size class of a count."""
    bounds = (
        (1_000, "n<1K"),
        (10_000, "1K<n<10K"),
        (100_000, "10K<n<100K"),
        (1_000_000, "100K<n<1M"),
        (10_000_000, "1M<n<10M"),
    )
    return next((name for bound, name in bounds if tiles < bound), "10M<n<100M")
