# SPDX-License-Identifier: Apache-2.0
"""Benchmarks are data sets like any other: the same readers, one card, a rule for who trains.

A set that cannot be judged is a `Skipped` with a reason, and becomes a row of the results.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from rspipe.catalog import card_for
from rspipe.errors import RecipeError
from rspipe.evaluate.config import EvalRecipe, What
from rspipe.evaluate.ordered_split import first_trains
from rspipe.evaluate.splits import Fold, hash_order, limit, split_folds
from rspipe.readers import FileTree, Storage, read_dataset
from rspipe.recipe import fingerprint, nearest_name
from rspipe.schema import DatasetCard, ImageRecord, Task


@dataclass(frozen=True)
class Skipped:
    """A data set that gets no score."""

    name: str
    task: Task
    reason: str


@dataclass(frozen=True)
class Benchmark:
    """The labelled images of one data set, and who of them trains and who is scored."""

    name: str
    storage: Storage
    card: DatasetCard
    classes: tuple[str, ...]
    """Scored classes; a class's index is its place here."""
    records: tuple[ImageRecord, ...]
    folds: tuple[Fold, ...]
    """Positions in `records`."""
    listing: str
    """Fingerprint of card, annotations, folds, and the names and sizes of all files.

    Pixels that change without a change of file size go unnoticed.
    """
    n_unlabelled: int = 0
    """Images that the reader lists without a label of this task, or of no scored class."""
    unlabelled: tuple[ImageRecord, ...] = ()
    """These images, of segmentation alone: what a server without public masks asks for."""

    @property
    def task(self) -> Task:
        """What is to be predicted."""
        return self.card.task

    @property
    def class_index(self) -> Mapping[str, int]:
        """Index of each scored class."""
        return {name: index for index, name in enumerate(self.classes)}

    @property
    def tested(self) -> Int[np.ndarray, " n"]:
        """Positions of all scored images, fold after fold."""
        return np.concatenate([fold.test for fold in self.folds])

    def tested_paths(self) -> list[str]:
        """Paths of all scored images, fold after fold."""
        return [self.records[i].source_path for i in self.tested]

    def used(self) -> Int[np.ndarray, " n"]:
        """Positions of all images that train or are scored, sorted."""
        parts = [part for fold in self.folds for part in (fold.train, fold.test, fold.validation)]
        return np.unique(np.concatenate(parts))

    def keep(self, positions: Int[np.ndarray, " n"]) -> "Benchmark":
        """Return the benchmark with only these images (sorted positions), renumbered."""
        place = np.full(len(self.records), -1)
        place[positions] = np.arange(len(positions))
        folds = tuple(
            Fold(
                _present(place[fold.train]),
                _present(place[fold.test]),
                _present(place[fold.validation]),
            )
            for fold in self.folds
        )
        records = tuple(self.records[i] for i in positions)
        return replace(self, records=records, folds=folds)

    def lacks(self) -> str | None:
        """Say what is missing to train and score, if anything."""
        if not self.folds or any(not len(fold.test) for fold in self.folds):
            return f"no image to score among {len(self.records)}; see test_splits of its card"
        if any(not len(fold.train) for fold in self.folds):
            return f"no image to train on among {len(self.records)}; see train_splits of its card"
        return None


def find_benchmarks(recipe: EvalRecipe) -> Iterator[Benchmark | Skipped]:
    """List the data sets of a recipe, each as a benchmark or with the reason why it is none.

    Raises:
        RecipeError: no such data folder, or it lacks a data set that the recipe names.
    """
    root = Path(recipe.data)
    if not root.is_dir():
        raise RecipeError(f"data={recipe.data}: no such folder; it should hold data sets")
    folders = {p.name: p for p in sorted(root.iterdir()) if p.is_dir() and p.name[0] != "."}
    if recipe.benchmarks == "auto":
        yield from (_auto(folder, recipe.what) for folder in folders.values())
        return
    for name in recipe.benchmarks:
        if name not in folders:
            raise RecipeError(f"{root}: no data set {name!r}{nearest_name(name, folders)}")
        yield list_benchmark(folders[name], card_for(folders[name]), recipe.what)


def _auto(folder: Path, what: What) -> Benchmark | Skipped:
    card = card_for(folder)
    if card.task != "unlabelled" and not (
        card.benchmark_splits or card.train_splits or card.test_splits
    ):
        return Skipped(
            card.name,
            card.task,
            "its card holds no split out of the corpus (benchmark_splits), so a score could be "
            "of images seen in pre-training; name it in `benchmarks` to judge it all the same",
        )
    return list_benchmark(folder, card, what)


def list_benchmark(folder: Path, card: DatasetCard, what: What) -> Benchmark | Skipped:
    """List one data set: its labelled images, its classes and its folds."""
    if card.task == "unlabelled":
        return Skipped(card.name, card.task, "its card states no task: nothing to predict")
    card = _with_lists(card, what)
    tree = FileTree.scan(folder)
    images = read_dataset(tree, card).images
    classes = _classes(card, list(images.values()))
    records = [r for _, r in sorted(images.items()) if _is_labelled(r, card, classes)]
    if not records:
        return Skipped(card.name, card.task, f"none of its {len(images)} images is labelled")
    if card.task == "segmentation" and card.classes is None:
        return Skipped(card.name, card.task, "its card names no classes for the mask values")
    if card.task != "detection" and len(classes) < 2:
        return Skipped(card.name, card.task, f"fewer than two classes: {', '.join(classes)}")
    folds = (
        split_folds(records, card, what.train_share, what.folds, what.seed)
        if what.train_first is None
        else (first_trains(records, what.train_first),)
    )
    folds = _limited(folds, records, what.max_images, what.seed)
    benchmark = Benchmark(
        name=card.name,
        storage=tree.storage,
        card=card,
        classes=classes,
        records=tuple(records),
        folds=folds,
        listing=_fingerprint(card, records, folds, tree),
        n_unlabelled=len(images) - len(records),
        unlabelled=_unlabelled(card, images.values()),
    )
    lack = benchmark.lacks()
    return Skipped(card.name, card.task, lack) if lack else benchmark


def _with_lists(card: DatasetCard, what: What) -> DatasetCard:
    """Let the recipe's split lists go before all that the card says of splits."""
    if not what.split_lists:
        return card
    lists = {
        split: name if isinstance(name, str) else list(name)
        for split, name in what.split_lists.items()
    }
    options = {**card.options, "split_lists": lists}
    return card.model_copy(update={"options": options, "train_splits": None, "test_splits": None})


def _classes(card: DatasetCard, records: list[ImageRecord]) -> tuple[str, ...]:
    if card.classes is not None:
        names = list(card.classes)
    elif card.task == "detection":
        names = sorted({box.label for r in records for box in r.annotation.boxes or ()})
    else:
        names = sorted({r.annotation.label for r in records if r.annotation.label is not None})
    return tuple(name for name in names if name not in card.ignore_classes)


def _is_labelled(record: ImageRecord, card: DatasetCard, classes: tuple[str, ...]) -> bool:
    if card.task == "classification":
        return record.annotation.label in classes
    if card.task == "detection":
        return record.annotation.boxes is not None
    said = record.annotation
    return said.mask_path is not None or said.footprints_path is not None


def _unlabelled(card: DatasetCard, images: Iterable[ImageRecord]) -> tuple[ImageRecord, ...]:
    if card.task != "segmentation":
        return ()
    bare = (record for record in images if not _is_labelled(record, card, ()))
    return tuple(sorted(bare, key=lambda record: record.source_path))


def _limited(
    folds: tuple[Fold, ...], records: list[ImageRecord], most: int | None, seed: int
) -> tuple[Fold, ...]:
    order = hash_order([record.source_path for record in records], seed)
    return tuple(
        Fold(*(limit(part, order, most) for part in (fold.train, fold.test, fold.validation)))
        for fold in folds
    )


def _present(places: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    return places[places >= 0]


def _fingerprint(
    card: DatasetCard, records: list[ImageRecord], folds: tuple[Fold, ...], tree: FileTree
) -> str:
    return fingerprint(
        card.deciding(),
        [record.model_dump(mode="json") for record in records],
        [[fold.train.tolist(), fold.test.tolist(), fold.validation.tolist()] for fold in folds],
        [[entry.path, entry.size_bytes] for entry in tree.files],
    )
