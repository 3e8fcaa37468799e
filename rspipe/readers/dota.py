"""DOTA text: one `labelTxt/NAME.txt` per image, `x1 y1 … x4 y4 class difficult` a line."""

from pathlib import PurePosixPath

from rspipe.errors import ReaderError
from rspipe.readers.base import Listing, record
from rspipe.readers.boxes import from_corners
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard, ObjectBox


class Dota:
    """Four corners in pixels a line; header lines `imagesource:` and `gsd:` are skipped."""

    name = "dota"
    options: tuple[str, ...] = ()

    def recognises(self, tree: FileTree) -> bool:
        """A folder whose name begins with labelTxt."""
        return any(_is_label_file(path) for path in tree.with_suffix(".txt"))

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the images of every label file, with their boxes."""
        images, sidecars, faults = {}, {}, {}
        for path in filter(_is_label_file, tree.with_suffix(".txt")):
            try:
                boxes = parse_dota(tree.read_text(path))
            except ReaderError as error:
                faults[path] = str(error)
                continue
            found = tree.images_by_stem.get(PurePosixPath(path).stem, ())
            sidecars[path] = "annotation" if found else "annotation without an image"
            for image in found[:1]:
                images[image] = record(image, card, boxes=boxes)
        return Listing(images, sidecars, faults)


def parse_dota(text: str) -> tuple[ObjectBox, ...]:
    r"""Parse one label file.

    Raises:
        ReaderError: a line that is no header and no box; the message carries its number.

    >>> parse_dota("imagesource:x\ngsd:0.1\n0 0 4 0 4 2 0 2 ship 1")[0].difficult
    True
    """
    boxes = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith(("imagesource", "gsd")):
            continue
        words = line.split()
        try:
            corners = tuple(float(word) for word in words[:8])
            boxes.append(from_corners(words[8], corners, difficult=words[9:10] == ["1"]))
        except (IndexError, ValueError) as error:
            raise ReaderError(f"line {number} is no DOTA box: {line[:80]!r}") from error
    return tuple(boxes)


def _is_label_file(path: str) -> bool:
    return any(part.startswith("labelTxt") for part in path.split("/")[:-1])
