# SPDX-License-Identifier: Apache-2.0
"""One COCO file: images, objects and captions, joined by id. `coco` finds the images."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from rspipe.errors import ReaderError
from rspipe.readers.boxes import (
    UnusableBox,
    class_names,
    corners_from_angle,
    describe,
    from_corners,
    horizontal,
    number,
)
from rspipe.readers.gather import NO_PLACE, Said, rank_of
from rspipe.schema import Annotation, DatasetCard, Geography, ObjectBox

Entry = dict[str, Any]

_ANNOTATION_KEYS = ("annotations", "annotation")
_NAME_KEYS = ("file_name", "filename", "image_name")
_DATE_KEYS = ("date_captured", "date", "timestamp")
_DATE = re.compile(r"(\d{4})[-/]?(\d{2})[-/]?(\d{2})(?:[T ](\d{2}:\d{2}:\d{2}))?")


class Outline(NamedTuple):
    """What is kept of a `segmentation`."""

    kind: Literal["quad", "upright", "polygon", "run-length"]
    """quad: four points; upright: four points of an upright rectangle."""
    points: tuple[float, ...] = ()
    """x, y of the four points of a quad, or of the two extreme corners of anything else."""


@dataclass
class CocoFile:
    """What one file says."""

    images: dict[str, Said]
    """By file name as the file writes it."""
    oddities: list[str]
    """What the ledger should know."""


def shrink(entry: Entry) -> Entry:
    """Replace an annotation's outline by what is needed of it, while the file is parsed.

    The outlines of iSAID are most of a gigabyte of text, and several in memory.
    """
    outline = entry.get("segmentation")
    if isinstance(outline, dict):
        entry["segmentation"] = Outline("run-length")
    elif isinstance(outline, list):
        entry["segmentation"] = _shrunk(outline)
    return entry


def _shrunk(outline: list[Any]) -> Outline:
    rings = outline if outline and isinstance(outline[0], list) else [outline]
    try:
        points = [float(v) for ring in rings for v in ring]
    except (TypeError, ValueError, OverflowError):
        return Outline("polygon")
    if len(points) == 10 and points[:2] == points[8:]:
        points = points[:8]
    if len(points) < 6 or len(points) % 2:
        return Outline("polygon")
    xs, ys = points[::2], points[1::2]
    extremes = (min(xs), min(ys), max(xs), max(ys))
    if len(rings) > 1 or len(points) != 8:
        return Outline("polygon", extremes)
    is_upright = len(set(xs)) == 2 and len(set(ys)) == 2
    return Outline("upright", extremes) if is_upright else Outline("quad", tuple(points))


def parse_coco(data: Entry, card: DatasetCard) -> CocoFile | None:
    """Read a COCO file that was parsed with `shrink`; None if it is none.

    Raises:
        ReaderError: an entry without its keys, or objects of which none can be used.
    """
    entries = data.get("images")
    if isinstance(entries, dict):  # SODA-A: one file per image
        entries = [entries]
    if not isinstance(entries, list):
        return None
    try:
        content = _Content.of(data, card)
        by_name: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_name[next((str(entry[k]) for k in _NAME_KEYS if entry.get(k)), "")].append(entry)
        nameless = by_name.pop("", [])
        images = {name: content.said(name, group, card) for name, group in by_name.items()}
        content.check_ids(entries)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ReaderError(f"not a usable COCO file: {error!r}") from error
    if content.unusable and not content.n_boxes:
        raise ReaderError(describe(tuple(content.unusable), 0))
    return CocoFile(images, [*content.told(), *_count(len(nameless), "images without a name")])


@dataclass
class _Content:
    """Objects and captions of a file by image id, and what is odd about them."""

    labels: dict[str, str]
    objects: dict[str, list[Entry]] | None
    """None where the file speaks of no boxes."""
    captions: dict[str, list[str]]
    outlines: Counter[str]
    n_repeated: int
    all_crowd: bool
    """Every object is `iscrowd`: its writer means a run-length mask."""
    n_orphans: int = 0
    n_boxes: int = 0
    unusable: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, data: Entry, card: DatasetCard) -> "_Content":
        items = next((data[k] for k in _ANNOTATION_KEYS if k in data), None)
        objects, captions, n_repeated, lost = _grouped(items or [])
        flat = [item for group in objects.values() for item in group]
        outlines = (item.get("segmentation") for item in flat)
        return cls(
            labels=class_names(card)
            | {str(c["id"]): str(c["name"]).strip() for c in data.get("categories") or []},
            objects=None if items is None or (captions and not objects) else objects,
            captions=captions,
            outlines=Counter(o.kind for o in outlines if isinstance(o, Outline)),
            n_repeated=n_repeated,
            all_crowd=bool(flat) and all(item.get("iscrowd") for item in flat),
            unusable=lost,
        )

    @property
    def oriented(self) -> bool:
        """Outlines are oriented boxes: four points each, and not upright all of them."""
        kinds = self.outlines
        return kinds["quad"] > 0 and not kinds["polygon"] and not kinds["run-length"]

    def said(self, name: str, entries: list[Entry], card: DatasetCard) -> Said:
        """Join all that is said of one image, under whatever ids."""
        sentences = [str(s.get("raw", "")) for e in entries for s in e.get("sentences") or []]
        sentences += [text for e in entries for text in self.captions.get(_id(e), ())]
        boxes = None if self.objects is None else self._boxes(name, entries)
        return Said(
            Annotation(
                boxes=boxes,
                caption="\n".join(filter(None, map(str.strip, sentences))) or None,
            ),
            _geography(entries[0]),
            rank=rank_of(boxes or (), card),
            split=next((str(e["split"]) for e in entries if e.get("split")), None),
        )

    def _boxes(self, name: str, entries: list[Entry]) -> tuple[ObjectBox, ...] | None:
        boxes, unusable = [], []
        for entry in entries:
            for item in (self.objects or {}).get(_id(entry), ()):
                try:
                    boxes.append(self._box(item))
                except UnusableBox as error:
                    unusable.append(f"{name}, object {item.get('id', '?')}: {error}")
        self.unusable += unusable
        self.n_boxes += len(boxes)
        return None if unusable and not boxes else tuple(boxes)

    def _box(self, item: Entry) -> ObjectBox:
        if item.get("category_id") is None:
            raise UnusableBox("has no category_id")
        category = str(item["category_id"])
        label = self.labels.get(category, category)
        crowd = bool(item.get("iscrowd")) and not self.all_crowd
        difficult = crowd or bool(item.get("ignore")) or bool(item.get("difficult"))
        corners = item.get("poly") or self._corners(item)
        if corners:
            return from_corners(label, corners, difficult=difficult)
        return horizontal(label, _edges(item, label), difficult=difficult)

    def _corners(self, item: Entry) -> tuple[float, ...] | None:
        box, outline = item.get("bbox"), item.get("segmentation")
        if self.oriented and isinstance(outline, Outline) and outline.kind == "quad":
            return outline.points
        if isinstance(box, list) and len(box) == 5:
            cx, cy, width, height, angle = (number(value) for value in box)
            return corners_from_angle(cx, cy, width, height, angle)
        return None

    def check_ids(self, entries: Iterable[Entry]) -> None:
        """Count the objects whose image is not listed."""
        known = {_id(entry) for entry in entries}
        objects = self.objects or {}
        self.n_orphans = sum(len(group) for key, group in objects.items() if key not in known)

    def told(self) -> list[str]:
        """Say what is odd."""
        polygons = 0 if self.oriented else self.outlines["polygon"] + self.outlines["quad"]
        return [
            *_count(self.outlines["run-length"], "run-length masks not read"),
            *_count(polygons, "outlines not read"),
            *_count(self.n_repeated, "annotations twice, taken once"),
            *_count(self.n_orphans, "objects of images that are not listed"),
            *([describe(tuple(self.unusable), self.n_boxes)] if self.unusable else []),
        ]


def _grouped(
    items: list[Any],
) -> tuple[dict[str, list[Entry]], dict[str, list[str]], int, list[str]]:
    """Group annotations and captions by image id.

    Returns:
        Annotations; captions; how many annotations occur twice, id and all, and are left out; and
        those that name no image.
    """
    objects: dict[str, list[Entry]] = defaultdict(list)
    captions: dict[str, list[str]] = defaultdict(list)
    seen: set[tuple[str, ...]] = set()
    n_repeated, lost = 0, []
    for place, item in enumerate(items, start=1):
        if not isinstance(item, dict) or item.get("image_id") is None:
            lost.append(f"annotation {place}: names no image")
            continue
        image = str(item["image_id"])
        if "caption" in item:
            captions[image].append(str(item["caption"]))
            continue
        identity = (str(item.get("id")), image, repr(item.get("bbox")), repr(item.get("poly")))
        if item.get("id") is not None and identity in seen:
            n_repeated += 1
            continue
        seen.add(identity)
        objects[image].append(item)
    return dict(objects), dict(captions), n_repeated, lost


def _edges(item: Entry, label: str) -> tuple[float, ...]:
    box, outline = item.get("bbox"), item.get("segmentation")
    if isinstance(box, list) and len(box) == 4:
        x, y, width, height = (number(value) for value in box)
        return x, y, x + width, y + height
    if isinstance(outline, Outline) and outline.points:
        xs, ys = outline.points[::2], outline.points[1::2]
        return min(xs), min(ys), max(xs), max(ys)
    raise UnusableBox(f"{label!r} has no usable box")


def _id(entry: Entry) -> str:
    return str(entry.get("id"))


def _geography(entry: Entry) -> Geography:
    date = next((entry[key] for key in _DATE_KEYS if entry.get(key)), None)
    found = _DATE.match(date) if isinstance(date, str) else None
    if found is None:
        return NO_PLACE
    day = "-".join(found.groups()[:3])
    return Geography(acquired=f"{day}T{found[4]}" if found[4] else day)


def _count(n: int, what: str) -> list[str]:
    return [f"{n:,} {what}"] if n else []
