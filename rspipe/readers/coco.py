"""COCO JSON: `images`, `annotations` (or `annotation`), `categories` (iSAID, VHR-10 …)."""

import json
from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

from rspipe.errors import ReaderError
from rspipe.readers.base import Listing, record
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, ImageRecord, ObjectBox


class Coco:
    """Boxes `x, y, width, height` in pixels. Images are found by their file name in the tree."""

    name = "coco"
    options: tuple[str, ...] = ()

    def recognises(self, tree: FileTree) -> bool:
        """Some JSON file begins like a COCO file."""
        return any(_looks_like_coco(tree.read_text(p)) for p in tree.with_suffix(".json")[:8])

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every COCO file, with their boxes; the first file to name one wins."""
        images: dict[str, ImageRecord] = {}
        sidecars, faults = {}, {}
        for path in tree.with_suffix(".json"):
            text = tree.read_text(path)
            if not _looks_like_coco(text):
                continue
            try:
                boxes = parse_coco(text)
            except ReaderError as error:
                faults[path] = str(error)
                continue
            sidecars[path] = "annotation"
            for name, found in boxes.items():
                image = _image_named(name, tree)
                if image is not None:
                    images.setdefault(image, record(image, card, boxes=found))
        return Listing(images, sidecars, faults)


def parse_coco(text: str) -> dict[str, tuple[ObjectBox, ...]]:
    """Parse a COCO file into boxes by image file name.

    Raises:
        ReaderError: not JSON, or an entry without its keys.
    """
    try:
        data = json.loads(text)
        labels = {c["id"]: str(c["name"]) for c in data.get("categories", [])}
        found: dict[Any, list[ObjectBox]] = defaultdict(list)
        for item in data.get("annotations", data.get("annotation", [])):
            x, y, w, h = (float(v) for v in item["bbox"][:4])
            label = labels.get(item["category_id"], str(item["category_id"]))
            found[item["image_id"]].append(ObjectBox(label=label, x0=x, y0=y, x1=x + w, y1=y + h))
        names = {i["id"]: str(i.get("file_name", i.get("filename"))) for i in data["images"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReaderError(f"not a usable COCO file: {error!r}") from error
    return {name: tuple(found[key]) for key, name in names.items()}


def _looks_like_coco(text: str) -> bool:
    return '"images"' in text and '"annotation' in text


def _image_named(name: str, tree: FileTree) -> str | None:
    """Find the image of that very name: a mask often differs from it in the suffix alone."""
    wanted = PurePosixPath(name).name
    found = tree.images_by_stem.get(PurePosixPath(name).stem, ())
    return next((path for path in found if PurePosixPath(path).name == wanted), None)
