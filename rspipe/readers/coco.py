# SPDX-License-Identifier: Apache-2.0
"""COCO JSON and its relatives (iSAID, VHR-10, SODA-A, HIT-UAV, xView and DOTA conversions, RSICD).

    images/…/a.png
    annotations/instances_train.json     {"images": […], "annotations": […], "categories": […]}
    Annotations/train/00001.json         one file per image (SODA-A; `images` may be one object)
    dataset_rsicd.json                   {"images": [{"filename", "split", "sentences"}]} (captions)

Of each annotation, a box in one of these forms, in pixels, kept as they are:

- `bbox` x, y, width, height: x and y are the near edge, x + width the far one;
- `bbox` of five numbers: centre x, centre y, width, height, angle (radians, clockwise; HIT-UAV);
- `poly`: four corners in order (SODA-A);
- `segmentation`: if every outline of the file is of four points, and not all are upright
  rectangles, they are oriented boxes; other outlines and run-length masks are instance masks, which
  are counted in the ledger and not read (an outline without `bbox` gives the rectangle around it).

`iscrowd`, `ignore` and `difficult` count as difficult. Where all objects of a file are `iscrowd`,
its writer means "run-length mask" (CVAT does so), and none is. `caption` and `sentences` become
captions, one a line. `date_captured` and `date` become the date.

Images are found by the longest end of `file_name`, then by nearness to the JSON; the suffix counts.
Where names repeat, the card's option `images` names their folder; images below the folders in
`empty` were looked at and show no object (VHR-10's negative set). The split is that of the image's
entry, else the word in the JSON's name or folders, else the image's folder. A file without
`annotations` says nothing of boxes; in one with them, an image without any has none.

Known faults: files that name images which are not there (counted in the ledger); the same image
under two ids (joined); an annotation that occurs twice, id and all (taken once).
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from rspipe.errors import ReaderError
from rspipe.readers.base import Listing, split_in_path
from rspipe.readers.coco_json import parse_coco, shrink
from rspipe.readers.gather import OPTIONS, Gathered, Said, told_names
from rspipe.readers.json_files import load_json
from rspipe.readers.parts import texts
from rspipe.readers.splits import split_word
from rspipe.readers.tree import FileTree
from rspipe.schema import Annotation, DatasetCard

_HEAD = re.compile(
    r'\s*\{\s*"(info|images|annotations?|categories|licenses|type|dataset|videos|scenarios)"\s*:'
)
_NOT_COCO = re.compile(r'"(FeatureCollection|Topology)"')
_INSTANCE_MASK = re.compile(r"_instance_(color|id)_RGB$")


class Coco:
    """One JSON file for many images, or for one."""

    name = "coco"
    options: tuple[str, ...] = (*OPTIONS, "empty")

    def recognises(self, tree: FileTree) -> bool:
        """One of the first or last JSON files begins like a COCO file."""
        files = tree.with_suffix(".json")
        return any(_looks_like_coco(tree.read_text(p, 4096)) for p in {*files[:8], *files[-4:]})

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every COCO file, with their boxes and captions."""
        gathered = Gathered(tree, card)
        for path in tree.with_suffix(".json"):
            if _looks_like_coco(tree.read_text(path, 4096)):
                _read_file(gathered, path)
        _add_empty(gathered)
        for path in tree.image_paths:
            if _INSTANCE_MASK.search(path.rpartition(".")[0]):  # iSAID: beside the images
                gathered.sidecars[path] = "instance mask"
        return gathered.listing()


def _read_file(gathered: Gathered, path: str) -> None:
    try:
        found = parse_coco(load_json(gathered.tree, path, shrink), gathered.card)
    except ReaderError as error:
        gathered.faults[path] = str(error)
        return
    if found is None:
        return
    split = _split_of_file(path, gathered.card)
    absent: list[str] = []
    doubtful: list[str] = []
    for name, said in found.images.items():
        images = gathered.finder.of_name(path, name)
        if len(images) > 1 and split is not None:
            images = _of_split(images, split, gathered.card) or images
        if len(images) == 1:
            gathered.add(path, images[0], replace(said, split=said.split or split))
        else:
            (doubtful if images else absent).append(name)
    notes = [
        *found.oddities,
        *told_names("no image for", absent, len(found.images)),
        *told_names("several images fit", doubtful, len(found.images)),
    ]
    gathered.sidecars[path] = "; ".join(["annotation", *notes])


def _split_of_file(path: str, card: DatasetCard) -> str | None:
    return split_word(path.rpartition("/")[2]) or split_in_path(path, card)


def _of_split(images: Iterable[str], split: str, card: DatasetCard) -> tuple[str, ...]:
    return tuple(i for i in images if (split_in_path(i, card) or "").lower() == split.lower())


def _add_empty(gathered: Gathered) -> None:
    """Add the images below the folders that the card's option `empty` names."""
    wanted = set(texts(gathered.card, gathered.card.options, "empty"))
    for path in gathered.tree.image_paths if wanted else ():
        if wanted & set(path.split("/")[:-1]):
            gathered.add("card", path, Said(Annotation(boxes=()), rank=-1))


def _looks_like_coco(head: str) -> bool:
    return _HEAD.match(head) is not None and _NOT_COCO.search(head) is None
