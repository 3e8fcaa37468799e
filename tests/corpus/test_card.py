# SPDX-License-Identifier: Apache-2.0
import pyarrow as pa

from rspipe.corpus.card import count_clusters
from rspipe.io.tables import write_table
from rspipe.schema import LEDGER_SCHEMA


def rows(name, size, bits, members):
    """The rows of a cluster that one file of the ledger holds."""
    cluster = {"cluster_id": name, "cluster_size": size, "cluster_diameter_bits": bits}
    return [cluster | {"level": "tile", "tile_id": member} for member in members]


def test_a_cluster_is_counted_once_wherever_its_rows_lie(tmp_path):
    files = [
        [*rows("a", 2, 8, ["a"]), *rows("c", 101, 0, ["d"])],
        [*rows("a", 2, 8, ["b"]), *rows("c", 101, 0, ["c"]), {"level": "tile", "tile_id": "x"}],
        rows("y", 3, 10, ["y"]),
    ]
    for index, ledger in enumerate(files):
        table = pa.Table.from_pylist(ledger, LEDGER_SCHEMA)
        write_table(table, tmp_path / f"ledger/ledger-{index:05d}-of-00003.parquet")
    found = count_clusters(tmp_path, max_hamming_bits=4)
    assert (found.count, found.largest, found.wide_bits) == (3, 101, 8)
    # One is larger than 100, one is wider than 8 bits; 8 bits are not wide.
    assert found.chained == 2


def test_no_ledger_has_no_cluster(tmp_path):
    assert count_clusters(tmp_path, 4).count == 0
