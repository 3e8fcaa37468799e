# SPDX-License-Identifier: Apache-2.0
"""Parquet files with pictures inside: Hugging Face data sets, and corpora of rspipe itself.

```
data/train-00000-of-00002.parquet    columns: image {bytes, path}, label, …
data/test-00000-of-00001.parquet
```

The picture of row 17 is the image `…parquet/00000017/image`. Its split is the first word of the
file's name (`train-…`), a folder's, or the cell of a `split` column.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.errors import ReaderError, UnreadableImage
from rspipe.io.containers import ParquetContainer
from rspipe.io.containers.parquet_file import member_name
from rspipe.readers.base import SPLIT_NAMES, Listing, record, split_in_path
from rspipe.readers.boxes import from_corners
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, Geography, ImageRecord, ObjectBox

LABEL_COLUMNS = ("label", "labels", "class", "category", "scene")
CAPTION_COLUMNS = ("caption", "text", "sentence", "description")
MASK_COLUMNS = ("mask", "annotation", "segmentation", "segmentation_mask", "label")
OBJECT_COLUMNS = ("boxes", "objects", "annotations")
_GEOGRAPHY = tuple(Geography.model_fields)
_SPLIT_WORD = re.compile(r"^([a-zA-Z]+)[-_.]")

Row = Mapping[str, Any]


class Parquet:
    """Pictures in a struct with a `bytes` field, or in a binary column with a usual name.

    Labels, captions, masks, boxes, split and geography are taken from columns with usual names, or
    from those that the card's options name. A label that Hugging Face stores as a number gets its
    name from the file's own metadata, else from the card's `classes`.

    Card options: `image`, `label`, `caption`, `mask`, `objects` (column names), `box_format`
    (`xywh` as COCO and Hugging Face have it, or `xyxy`).
    """

    name = "parquet"
    options: tuple[str, ...] = ("image", "label", "caption", "mask", "objects", "box_format")

    def recognises(self, tree: FileTree) -> bool:
        """Some Parquet file holds pictures."""
        return bool(_files(tree))

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the picture of every row; other picture columns are masks or said to be ignored."""
        images: dict[str, ImageRecord] = {}
        sidecars: dict[str, str] = {}
        faults: dict[str, str] = {}
        for path in _files(tree):
            container = cast(ParquetContainer, tree.storage.container(path))
            try:
                columns = _Columns.of(container, card)
                for name in container.columns:
                    if name != columns.image:
                        what = "mask" if name == columns.mask else f"picture column {name!r}"
                        rows = range(container.file.metadata.num_rows)
                        sidecars |= {f"{path}/{member_name(r, name)}": what for r in rows}
                for found in columns.records(container.file, path, card):
                    images[found.source_path] = found
            except (ReaderError, UnreadableImage, pa.ArrowException, OSError) as error:
                faults[path] = f"its columns cannot be read: {error}"
        return Listing(images, sidecars, faults)


def _files(tree: FileTree) -> list[str]:
    return [
        entry.path
        for entry in tree.files
        if entry.members is not None and entry.path.lower().endswith(".parquet")
    ]


class _Columns:
    """Which column of a file says what."""

    def __init__(self, schema: pa.Schema, pictures: Sequence[str], card: DatasetCard) -> None:
        names = [name for name in schema.names if name not in pictures]
        self.image = _chosen(card, "image", pictures, pictures) or pictures[0]
        others = [name for name in pictures if name != self.image]
        self.mask = _chosen(card, "mask", MASK_COLUMNS, others)
        self.label = _chosen(card, "label", LABEL_COLUMNS, names)
        self.caption = _chosen(card, "caption", CAPTION_COLUMNS, names)
        self.objects = _chosen(card, "objects", OBJECT_COLUMNS, names)
        self.split = "split" if "split" in names else None
        self.geography = [name for name in _GEOGRAPHY if name in names]
        self.class_names = _class_names(schema, card)
        self.is_xywh = card.options.get("box_format", "xywh") == "xywh"

    @classmethod
    def of(cls, container: ParquetContainer, card: DatasetCard) -> "_Columns":
        return cls(container.file.schema_arrow, container.columns, card)

    def records(self, file: pq.ParquetFile, path: str, card: DatasetCard) -> Iterator[ImageRecord]:
        wanted = [self.label, self.caption, self.objects, self.split, *self.geography]
        columns = [name for name in wanted if name is not None]
        default = split_of_file(path, card)
        number = 0
        for group in range(file.metadata.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            table = file.read_row_group(group, columns=columns) if columns else None
            for row in table.to_pylist() if table is not None else [{}] * count:
                yield self._record(row, f"{path}/{number:08d}", default, card)
                number += 1

    def _record(self, row: Row, stem: str, default: str | None, card: DatasetCard) -> ImageRecord:
        said = {
            "label": self._label(row),
            "caption": _caption(row.get(self.caption or "")),
            "boxes": self._boxes(row.get(self.objects or "")),
            "mask_path": f"{stem}/{self.mask}" if self.mask else None,
        }
        split = row.get(self.split or "") or default
        found = record(f"{stem}/{self.image}", card, split, **said)
        known = {name: row[name] for name in self.geography if row[name] is not None}
        return found.model_copy(update={"geography": Geography.model_validate(known)})

    def _label(self, row: Row) -> str | None:
        value = row.get(self.label or "")
        if isinstance(value, list):
            return "|".join(self._class_name(v) for v in value) or None
        return None if value is None else self._class_name(value)

    def _class_name(self, value: Any) -> str:
        if isinstance(value, int) and 0 <= value < len(self.class_names):
            return self.class_names[value]
        return str(value)

    def _boxes(self, objects: Any) -> tuple[ObjectBox, ...] | None:
        if objects is None:
            return None
        try:
            if isinstance(objects, dict):
                return self._hugging_face_boxes(objects)
            # An rspipe corpus: the boxes as they are.
            return tuple(ObjectBox(**{k: _plain(v) for k, v in box.items()}) for box in objects)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ReaderError(f"column {self.objects!r} holds no boxes: {error}") from error

    def _hugging_face_boxes(self, objects: Row) -> tuple[ObjectBox, ...]:
        key = next(k for k in ("category", "categories", "label", "labels") if k in objects)
        boxes = []
        for values, label in zip(objects["bbox"], objects[key], strict=True):
            name = self._class_name(label)
            if len(values) == 8:
                boxes.append(from_corners(name, tuple(map(float, values))))
                continue
            x0, y0, a, b = map(float, values)
            x1, y1 = (x0 + a, y0 + b) if self.is_xywh else (a, b)
            boxes.append(ObjectBox(label=name, x0=x0, y0=y0, x1=x1, y1=y1))
        return tuple(boxes)


def _chosen(
    card: DatasetCard, option: str, usual: Sequence[str], there: Sequence[str]
) -> str | None:
    """Choose a column: the one that the card names, else the first usual name that is there.

    Raises:
        ReaderError: the card names a column that is not there.
    """
    named = card.options.get(option)
    if named is not None:
        if named not in there:
            raise ReaderError(f"no column {named!r} for {option}; there are: {', '.join(there)}")
        return str(named)
    by_name = {name.lower(): name for name in there}
    return next((by_name[name.lower()] for name in usual if name.lower() in by_name), None)


def _class_names(schema: pa.Schema, card: DatasetCard) -> list[str]:
    """Names of numbered labels: from the Hugging Face metadata, else from the card."""
    hint = (schema.metadata or {}).get(b"huggingface")
    try:
        features = json.loads(hint)["info"]["features"] if hint else {}
    except (ValueError, KeyError, TypeError):
        features = {}
    found = next(_named_features(features), None)
    if found is not None:
        return found
    return list(card.classes) if isinstance(card.classes, tuple) else []


def _named_features(feature: Any) -> Iterator[list[str]]:
    if isinstance(feature, dict):
        if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
            yield [str(name) for name in feature["names"]]
        for inner in feature.values():
            yield from _named_features(inner)
    elif isinstance(feature, list):
        for inner in feature:
            yield from _named_features(inner)


def _caption(value: Any) -> str | None:
    return "\n".join(map(str, value)) if isinstance(value, list) else value and str(value)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def split_of_file(path: str, card: DatasetCard) -> str | None:
    """Find the split of a shard: by its folders, else by its name's first word.

    >>> split_of_file("data/train-00000-of-00002.parquet", DatasetCard(name="x"))
    'train'
    """
    by_folder = split_in_path(path, card)
    word = _SPLIT_WORD.match(PurePosixPath(path).name)
    declared = card.options.get("splits") or SPLIT_NAMES
    if by_folder is None and word and word[1] in declared:
        return word[1]
    return by_folder
