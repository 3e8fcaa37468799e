# SPDX-License-Identifier: Apache-2.0
"""What other thresholds would match: the pictures of a finished corpus, compared anew.

Curation compares at one radius and one similarity, and its tables say who went for whom. To see
where else the line could run, one needs the pairs beyond it: so the pictures are hashed again from
the corpus folder alone, and searched at a wide radius, refused pairs included.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rspipe.corpus.format import MANIFEST, PICTURES
from rspipe.corpus.reader import Corpus
from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.matching import near_rule
from rspipe.curate.dedup.near import near_within
from rspipe.curate.dedup.pairs import Flags, Pairs
from rspipe.curate.dedup.tiles import Tiles
from rspipe.curate.measure import hash_rows, measure_pixels
from rspipe.io.images import Pixels, decode, to_rgb
from rspipe.io.tables import open_table
from rspipe.recipe import validate
from rspipe.schema import LEDGER_SCHEMA, TILE_SCHEMA

_IDENTITY = ("tile_id", "dataset", "source_path", "image_id", "pair_path")
_MEASURED = (*_IDENTITY, "pixel_hash", "thumbnail", "orientation_hashes")


@dataclass(frozen=True)
class Pictures:
    """Kept tiles of a corpus, then dropped ones, N in all."""

    tiles: Tiles
    tile_ids: list[str]
    names: list[str]
    """Data set and path of each."""
    encoded: list[bytes]
    is_kept: Flags
    """(N,)"""

    def pixels(self, row: int) -> Pixels:
        """Decode one to uint8 (H, W, 3), 0..255."""
        return to_rgb(decode(self.encoded[row], self.names[row]))


def rules_of(corpus: Corpus) -> DedupConfig:
    """Read by which rules a corpus was deduplicated.

    Raises:
        RecipeError: its recipe is that of another version of rspipe.
    """
    plain = corpus.manifest["recipe"]["what"]["dedup"]
    return validate(plain, DedupConfig, f"{corpus.path / MANIFEST}")


def read_pictures(corpus: Corpus, most: int = 5_000) -> Pictures:
    """Hash pictures of a corpus again.

    Args:
        corpus: finished.
        most: kept tiles to take, evenly spaced over the corpus; they are held in memory.

    Returns:
        Those, and every tile that dedup dropped and curation kept a small picture of. Small
        pictures have at most 96 px a side, so that the hash of a larger tile may differ by a bit
        or two from the one that curation saw.
    """
    taken = [*_kept(corpus, most), *_dropped(corpus)]
    rows = [row for row, _ in taken]
    for row, data in taken:
        row.update(measure_pixels(to_rgb(decode(data, row["source_path"]))))
    hash_rows(rows)
    schema = pa.schema([TILE_SCHEMA.field(name) for name in _MEASURED])
    return Pictures(
        Tiles.from_table(pa.Table.from_pylist(rows, schema)),
        [row["tile_id"] for row in rows],
        [f"{row['dataset']}/{row['source_path']}" for row in rows],
        [data for _, data in taken],
        np.array([row["is_kept"] for row in rows], np.bool_),
    )


def near_pairs(pictures: Pictures, max_bits: int, rules: DedupConfig) -> Pairs:
    """Find the pairs of different images whose hashes are close in any turn, refused ones too.

    Args:
        pictures: the pictures; of a pair the one that comes later is called the copy.
        max_bits: radius, at most 16: wider than a recipe's, so that one sees what lies beyond.
        rules: all else that counts as nearly equal. `rejected` is true of the pairs whose
            thumbnails are less alike than `min_similarity`.
    """
    wide = rules.model_copy(update={"max_hamming_bits": max_bits})
    rule = near_rule(wide, rejected=True)
    everything = np.arange(len(pictures.tiles))
    found = near_within(pictures.tiles, everything, everything, rule)
    return found.take(np.lexsort((-found.similarity, found.distance_bits)))


def tally(pairs: Pairs, max_bits: int) -> NDArray[np.int64]:
    """Count pairs by distance and by what the thumbnails say.

    Returns:
        int64 (max_bits + 1, 2): at each distance those accepted, and those refused.
    """
    sides = (pairs.distance_bits[~pairs.rejected], pairs.distance_bits[pairs.rejected])
    return np.stack([np.bincount(side, minlength=max_bits + 1) for side in sides], axis=1)


def _kept(corpus: Corpus, most: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    chosen = np.unique(np.linspace(0, len(corpus) - 1, min(most, len(corpus))).astype(np.int64))
    starts = corpus.group_starts
    for group in np.unique(np.searchsorted(starts, chosen, side="right") - 1).tolist():
        within = chosen[(chosen >= starts[group]) & (chosen < starts[group + 1])] - starts[group]
        table = corpus.group(group, [*_IDENTITY, "image.bytes"]).take(pa.array(within))
        for row in table.to_pylist():
            data = row.pop("image")["bytes"]
            yield row | {"is_kept": True}, data


def _dropped(corpus: Corpus) -> Iterator[tuple[dict[str, Any], bytes]]:
    kept = open_table(corpus.path / PICTURES).read()
    names = [*(name for name in _IDENTITY if name in LEDGER_SCHEMA.names), "drop_stage"]
    ledger = corpus.ledger(names)
    chosen = pc.and_(
        pc.equal(ledger["drop_stage"], "dedup"), pc.is_in(ledger["tile_id"], kept["tile_id"])
    )
    places = {tile: at for at, tile in enumerate(kept["tile_id"].to_pylist())}
    for row in ledger.filter(chosen).sort_by("tile_id").to_pylist():
        yield row | {"is_kept": False}, kept["picture"][places[row["tile_id"]]].as_py()["bytes"]
