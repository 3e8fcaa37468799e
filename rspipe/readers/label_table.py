# SPDX-License-Identifier: Apache-2.0
"""Labels that stand in a CSV file, by the image's name."""

from dataclasses import dataclass

from rspipe.errors import ReaderError, RecipeError
from rspipe.readers.matching import plain_parts
from rspipe.readers.splits import plain_name, read_table, without_suffix
from rspipe.readers.tree import FileTree
from rspipe.recipe import Strict, nearest_name
from rspipe.schema import DatasetCard


class LabelsCsv(Strict):
    """Where labels stand in a table."""

    file: str
    """Name of the CSV file, or the end of its path; several that fit are read one after another."""
    path: str
    """Column with the image's name or path, with or without suffix."""
    label: str | list[str]
    """Column of the label; several columns, or `*` for all others, hold a 1 for each class."""
    split: str | None = None
    delimiter: str = ","
    label_separator: str | None = None
    """Cuts a cell into several labels."""


@dataclass(frozen=True)
class LabelTable:
    """Label and split by name without suffix."""

    labels: dict[str, str]
    splits: dict[str, str]
    sidecars: dict[str, str]
    faults: dict[str, str]

    @classmethod
    def read(cls, tree: FileTree, card: DatasetCard, where: LabelsCsv) -> "LabelTable":
        """Read the table that a card describes.

        Raises:
            RecipeError: no such file, or the file has no such column.
        """
        wanted = f"/{where.file.lower()}"
        files = [p for p in tree.paths if f"/{p.lower()}".endswith(wanted)]
        if not files:
            raise RecipeError(f"card {card.name!r}: labels_csv: there is no file {where.file!r}")
        labels: dict[str, str] = {}
        splits: dict[str, str] = {}
        sidecars: dict[str, str] = {}
        faults: dict[str, str] = {}
        for file in files:
            try:
                rows = list(read_table(tree, file, where.delimiter))
            except ReaderError as error:
                faults[file] = str(error)
                continue
            sidecars[file] = "labels"
            for row in rows:
                key = without_suffix(plain_name(_cell(row, where.path, card, file)))
                label = _label(row, where, card, file)
                if label:
                    labels[key] = label
                if where.split:
                    splits[key] = _cell(row, where.split, card, file)
        return cls(labels, splits, sidecars, faults)

    def label(self, path: str) -> str | None:
        """Return an image's label: by the longest end of its path that the table holds."""
        return _by_end(self.labels, path)

    def split(self, path: str) -> str | None:
        """Return an image's split."""
        return _by_end(self.splits, path) or None


def _by_end(found: dict[str, str], path: str) -> str | None:
    if not found:
        return None
    parts = plain_parts(without_suffix(path))
    ends = ("/".join(parts[i:]) for i in range(len(parts)))
    return next((found[end] for end in ends if end in found), None)


def _cell(row: dict[str, str], column: str, card: DatasetCard, file: str) -> str:
    if column.lower() not in row:
        raise RecipeError(
            f"card {card.name!r}: labels_csv: {file} has no column {column!r}"
            f"{nearest_name(column.lower(), row)}"
        )
    return row[column.lower()]


def _label(row: dict[str, str], where: LabelsCsv, card: DatasetCard, file: str) -> str:
    """Join a row's labels, sorted, by `|`."""
    if where.label == "*":
        others = {where.path.lower(), (where.split or "").lower()}
        columns = [column for column in row if column not in others]
    elif isinstance(where.label, list):
        columns = where.label
    else:
        cell = _cell(row, where.label, card, file)
        labels = cell.split(where.label_separator) if where.label_separator else [cell]
        return "|".join(sorted({label.strip() for label in labels} - {""}))
    ones = (column for column in columns if _cell(row, column, card, file) in {"1", "1.0"})
    return "|".join(sorted(ones))
