# SPDX-License-Identifier: Apache-2.0
"""WebDataset tars: files of one sample share their name up to its first dot.

```
train-00000.tar
  000017.jpg    the picture
  000017.cls    its class, a number or a word
  000017.txt    its caption
  000017.json   anything: label, caption, gsd_m, acquired … are taken
  000017.mask.png (or .seg.png)
```
"""

import json
from collections import defaultdict
from typing import Any

from rspipe.io.images import claims_image
from rspipe.readers.base import Listing, record
from rspipe.readers.parquet import split_of_file
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, Geography, ImageRecord

_TARS = (".tar", ".tar.gz", ".tgz")
_SIDECARS = frozenset({".cls", ".txt", ".json", ".caption"})
_MASKS = (".mask.png", ".seg.png", ".mask.tif")
_GEOGRAPHY = tuple(Geography.model_fields)
_MOST_JSON_BYTES = 2**20


class WebDataset:
    """Labels from `.cls` or the key `label` of `.json`; captions from `.txt`; masks by suffix.

    The split is the tar's first word (`train-00000.tar`) or a folder's. Numbers in `.cls` get their
    names from the card's `classes`.
    """

    name = "webdataset"
    options: tuple[str, ...] = ()

    def recognises(self, tree: FileTree) -> bool:
        """In some tar, the first picture has a `.cls`, `.txt` or `.json` of its own name."""
        samples = _samples(tree)
        return any(_picture(parts) and _SIDECARS & parts.keys() for parts in samples.values())

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the picture of every sample; its other files are sidecars."""
        images: dict[str, ImageRecord] = {}
        sidecars: dict[str, str] = {}
        faults: dict[str, str] = {}
        for parts in _samples(tree).values():
            picture = _picture(parts)
            for suffix, path in parts.items():
                if suffix in _SIDECARS:
                    sidecars[path] = "annotation" if picture else "annotation without an image"
                elif suffix in _MASKS:
                    sidecars[path] = "mask" if picture else "mask without an image"
            if picture is not None:
                images[picture] = _record(tree, card, picture, parts, faults)
        return Listing(images, {p: w for p, w in sidecars.items() if p not in faults}, faults)


def _samples(tree: FileTree) -> dict[str, dict[str, str]]:
    """Group the members of tars: sample → suffix → path."""
    samples: dict[str, dict[str, str]] = defaultdict(dict)
    for entry in tree.files:
        outer, member = tree.storage.split(entry.path)
        if member is None or entry.fault is not None or not outer.lower().endswith(_TARS):
            continue
        folder, _, name = entry.path.rpartition("/")
        stem, dot, suffix = name.partition(".")
        samples[f"{folder}/{stem}"][f"{dot}{suffix.lower()}"] = entry.path
    return samples


def _picture(parts: dict[str, str]) -> str | None:
    return next((p for s, p in parts.items() if s not in _MASKS and claims_image(p)), None)


def _record(
    tree: FileTree, card: DatasetCard, picture: str, parts: dict[str, str], faults: dict[str, str]
) -> ImageRecord:
    facts = _facts(tree, parts, faults)
    label = tree.read_text(parts[".cls"]).strip() if ".cls" in parts else facts.get("label")
    caption = facts.get("caption")
    for suffix in (".txt", ".caption"):
        if suffix in parts:
            caption = tree.read_text(parts[suffix]).strip()
    mask = next((parts[suffix] for suffix in _MASKS if suffix in parts), None)
    found = record(
        picture,
        card,
        split_of_file(tree.storage.split(picture)[0], card),
        label=_class_name(label, card),
        caption=None if caption is None else str(caption),
        mask_path=mask,
    )
    known = {key: facts[key] for key in _GEOGRAPHY if facts.get(key) is not None}
    try:
        return found.model_copy(update={"geography": Geography.model_validate(known)})
    except ValueError as error:
        faults[parts[".json"]] = f"its geography is unusable: {error}"
        return found


def _facts(tree: FileTree, parts: dict[str, str], faults: dict[str, str]) -> dict[str, Any]:
    if ".json" not in parts:
        return {}
    try:
        facts = json.loads(tree.read_text(parts[".json"], _MOST_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        faults[parts[".json"]] = f"not valid JSON: {error}"
        return {}
    return facts if isinstance(facts, dict) else {}


def _class_name(label: Any, card: DatasetCard) -> str | None:
    if label is None or label == "":
        return None
    text = str(label)
    if text.isdigit() and isinstance(card.classes, tuple) and int(text) < len(card.classes):
        return card.classes[int(text)]
    return text
