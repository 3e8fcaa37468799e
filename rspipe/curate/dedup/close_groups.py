# SPDX-License-Identifier: Apache-2.0
"""Tiles grouped by equal hashes, and which groups are close: the search sees each hash once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rspipe.curate.dedup.frames import FRAMES, in_frame
from rspipe.curate.dedup.groups import Hashes, distinct_rows
from rspipe.curate.dedup.pairs import INVERSE_INDEX, Flags, Indices
from rspipe.curate.dedup.products import ranges
from rspipe.curate.dedup.search import Matches, iter_orientation_pairs
from rspipe.curate.progress import Progress, quiet
from rspipe.errors import StageFailed

MOST_PAIRS = 250_000_000
"""Each takes 8 bytes, and as many again while they are sorted."""


@dataclass(frozen=True)
class Groups:
    """Rows with equal hashes in every orientation; G groups of N rows."""

    hashes: Hashes
    """(G, 8)."""
    members: Indices
    """(N,) rows, group by group."""
    starts: Indices
    """(G,) where each group starts in `members`."""
    counts: Indices
    """(G,) rows in each group."""

    @classmethod
    def of(cls, hashes: Hashes, rows: Indices) -> "Groups":
        """Group some rows of uint64 (…, 8); members keep the order of `rows`."""
        own = hashes[rows]
        distinct = distinct_rows(own)
        members = rows[np.argsort(distinct.group, kind="stable")]
        counts = np.bincount(distinct.group, minlength=len(distinct.first)).astype(np.int64)
        if len(distinct.first) < len(own):
            own = own[distinct.first]
        return cls(own, members, np.cumsum(counts) - counts, counts)

    def __len__(self) -> int:
        return len(self.counts)

    def rows_of(self, groups: Indices) -> Indices:
        """The rows of some groups, each once."""
        chosen = np.unique(groups)
        return self.members[ranges(self.starts[chosen], self.counts[chosen])]


@dataclass(frozen=True)
class CloseGroups:
    """R pairs of close groups, each with one or more orientations.

    Within one set a pair stands once, `left` ≤ `right`; a group of two or more rows is close to
    itself. Between two sets `left` is of the copies, `right` of the originals.
    """

    left: Indices
    """(R,) group of the copies."""
    right: Indices
    """(R,) group of the originals."""
    first: Indices
    """(R,) where its orientations start."""
    count: Indices
    """(R,) how many orientations bring the two within the radius."""
    orientation: NDArray[np.uint8]
    """(M,) index in ORIENTATIONS: what is done to the original to get the copy."""
    distance_bits: NDArray[np.uint8]
    """(M,)"""

    def take(self, chosen: Flags) -> "CloseGroups":
        """Some of the pairs; the orientations stay where they are."""
        return CloseGroups(
            self.left[chosen],
            self.right[chosen],
            self.first[chosen],
            self.count[chosen],
            self.orientation,
            self.distance_bits,
        )

    def __len__(self) -> int:
        return len(self.left)


def close_groups(
    copies: Groups,
    originals: Groups | None,
    max_bits: int,
    *,
    orientations: int,
    frames: int,
    progress: Progress = quiet,
) -> CloseGroups:
    """Search for groups within the radius of each other, in any of the frames.

    Args:
        copies: groups of the set searched for.
        originals: groups of the set searched in; None searches `copies` against itself.
        max_bits: radius, inclusive.
        orientations: 8, or 1 for the identity alone.
        frames: 4, or 1; see `frames`.
        progress: told of the search, in hundredths of a frame.

    Raises:
        StageFailed: more than MOST_PAIRS different hashes are close to each other.
    """
    width = len(copies if originals is None else originals)
    within = originals is None
    key = _own_keys(copies, max_bits, orientations, frames) if within else np.empty(0, np.int64)
    for frame in range(frames):
        found = iter_orientation_pairs(
            in_frame(copies.hashes, frame),
            None if originals is None else in_frame(originals.hashes, frame),
            max_bits,
            orientations=orientations,
            progress=_Frame(progress, frame, frames).tell,
        )
        # Sorted by left, right, orientation, distance; what other frames found is there once.
        key = _merge(key, (_keys(matches, width, within=within) for matches in found))
    # Of several distances, one per direction and frame, the least counts: it comes first.
    matched = key >> 5
    fresh = np.ones(len(key), np.bool_)
    fresh[1:] = matched[1:] != matched[:-1]
    pair = matched[fresh] >> 3
    first = np.flatnonzero(np.append(True, pair[1:] != pair[:-1])[: len(pair)])
    left, right = np.divmod(pair[first], max(width, 1))
    return CloseGroups(
        left,
        right,
        first,
        np.diff(np.append(first, len(pair))),
        (matched[fresh] & 7).astype(np.uint8),
        (key[fresh] & 31).astype(np.uint8),
    )


def heavy_pairs(groups: Groups, close: CloseGroups, most_per_tile: int) -> Flags:
    """Whether a pair of groups lies in a component with too many candidates to compare all.

    Components of close groups are independent: no tile of one can match a tile of another. One is
    heavy where all its candidate pairs are more than `most_per_tile` per tile.
    """
    links = coo_array(
        (np.ones(len(close), np.int8), (close.left, close.right)), shape=(len(groups), len(groups))
    )
    count, label = connected_components(links, directed=False)
    tiles = np.bincount(label, weights=groups.counts, minlength=count)
    candidates = np.bincount(
        label[close.left],
        weights=(groups.counts[close.left] * groups.counts[close.right]).astype(np.float64),
        minlength=count,
    )
    return np.asarray((candidates > most_per_tile * tiles)[label[close.left]])


@dataclass(frozen=True)
class _Frame:
    """Tells of the search of one frame."""

    progress: Progress
    frame: int
    frames: int

    def tell(self, share: float) -> None:
        self.progress("search", int((self.frame + share) * 100), self.frames * 100)


def _merge(known: Indices, blocks: Iterable[Indices]) -> Indices:
    waiting, count = [known], len(known)
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count > MOST_PAIRS:
            raise StageFailed(
                f"more than {MOST_PAIRS:,} pairs of different hashes are close: the pictures are "
                "too faint to be told apart by hashes; raise dedup.min_thumbnail_std, or lower "
                "dedup.max_hamming_bits"
            )
    return np.unique(np.concatenate(waiting))


def _keys(found: Matches, width: int, *, within: bool) -> Indices:
    """One sortable number per match: left, right, orientation (3 bits), distance (5 bits)."""
    left, right, orientation = found.copy, found.original, found.orientation
    if within:
        turned = left > right
        orientation = np.where(turned, INVERSE_INDEX[orientation], orientation)
        left, right = np.minimum(left, right), np.maximum(left, right)
    pair = left * width + right
    return np.asarray((((pair << 3) | orientation) << 5) | found.distance_bits)


def _own_keys(groups: Groups, max_bits: int, orientations: int, frames: int) -> Indices:
    """Orientations in which a group's hash is close to itself, both ways round."""
    several = np.flatnonzero(groups.counts > 1)
    own = groups.hashes[several]
    seen = own[:, FRAMES[:frames, :orientations]]
    bits = np.bitwise_count(seen[:, :, :1] ^ seen).min(axis=1)
    group, orientation = np.nonzero(bits <= max_bits)
    turned = orientation.astype(np.uint8)
    distance = bits[group, orientation]
    both = Matches(
        np.tile(several[group], 2),
        np.tile(several[group], 2),
        np.concatenate([turned, INVERSE_INDEX[turned]]),
        np.tile(distance, 2),
    )
    return _keys(both, len(groups), within=True)
