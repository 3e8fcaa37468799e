# SPDX-License-Identifier: Apache-2.0
"""Who trains and who is scored: the publisher's splits, else a share or folds by hash."""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from rspipe.schema import DatasetCard, ImageRecord

Indices = Int[np.ndarray, " n"]


@dataclass(frozen=True)
class Fold:
    """Positions of the images that train and of those that are scored; no image is in two parts."""

    train: Indices
    test: Indices
    validation: Indices = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """The publisher's validation split, where it is no part of the other two; classification
    chooses settings by it, and fits the final probe on train and validation."""


def split_folds(
    records: Sequence[ImageRecord], card: DatasetCard, train_share: float, folds: int, seed: int
) -> tuple[Fold, ...]:
    """Decide train and test: the card's splits, else usual split names, else by hash.

    Usual names: `train…` trains; `test…` is scored, or `val…` where no image is in a test split.
    For classification, a `val…` split that is neither chooses settings; other tasks leave it.
    Splits that are declared or usual but absent give an empty part, never a split by hash.

    Args:
        records: images of one benchmark.
        card: may name `train_splits` and `test_splits`.
        train_share: for sets without splits and folds = 1.
        folds: for sets without splits; above 1 every image is scored once.
        seed: of the hash.
    """
    published = _published(records, card)
    if published is not None:
        return (published,)
    order = hash_order([record.source_path for record in records], seed)
    strata = [record.annotation.label for record in records]
    if folds == 1:
        train, test = stratified_share(order, strata, train_share)
        return (Fold(train, test),)
    turn = _deal(order, strata, folds)
    return tuple(Fold(np.flatnonzero(turn != k), np.flatnonzero(turn == k)) for k in range(folds))


def hash_order(names: Sequence[str], seed: int) -> Indices:
    """Order positions by a hash of their names: random, blind to what stands beside."""
    keys = [hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest() for name in names]
    return np.array(sorted(range(len(names)), key=keys.__getitem__), dtype=np.int64)


def stratified_share(
    order: Indices, strata: Sequence[Hashable], share: float
) -> tuple[Indices, Indices]:
    """Part positions in two, in each stratum alike; both results sorted.

    A stratum of n gives round(n * share) to the first part, so a lone image goes to the first
    where share is at least a half.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for i in order.tolist():
        members[strata[i]].append(i)
    first = {i for group in members.values() for i in group[: round(len(group) * share)]}
    chosen = np.zeros(len(order), dtype=bool)
    chosen[sorted(first)] = True
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def limit(indices: Indices, order: Indices, most: int | None) -> Indices:
    """Keep at most so many positions, the first of the hash order."""
    if most is None or len(indices) <= most:
        return indices
    return np.sort(order[np.isin(order, indices)][:most])


def _deal(order: Indices, strata: Sequence[str | None], folds: int) -> Indices:
    """Deal positions like cards, stratum after stratum: folds differ by one image at most."""
    by_stratum = sorted(order.tolist(), key=lambda i: strata[i] or "")
    turn = np.empty(len(order), dtype=np.int64)
    turn[by_stratum] = np.arange(len(order)) % folds
    return turn


def _published(records: Sequence[ImageRecord], card: DatasetCard) -> Fold | None:
    """Find the publisher's fold; either part is empty where the folder lacks it."""
    splits = [record.split for record in records]
    names = {split for split in splits if split is not None}
    if card.test_splits is not None:
        test = names & set(card.test_splits)
    else:
        test = _beginning(names, "test") or _beginning(names, "val")
        if not test:
            return None
    train = (
        names & set(card.train_splits)
        if card.train_splits is not None
        else _beginning(names, "train")
    )
    spare = _beginning(names, "val") - train - test if card.task == "classification" else set()
    return Fold(
        _positions(splits, train - test), _positions(splits, test), _positions(splits, spare)
    )


def _beginning(names: set[str], word: str) -> set[str]:
    return {name for name in names if name.lower().startswith(word)}


def _positions(splits: Sequence[str | None], chosen: set[str]) -> Indices:
    return np.flatnonzero(np.array([split in chosen for split in splits], dtype=bool))
