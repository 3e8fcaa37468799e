# SPDX-License-Identifier: Apache-2.0
"""What is said of an image: opened once, cut with it, and noted where no tile can carry it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from rspipe.curate.carry import Objects
from rspipe.curate.config import SliceConfig
from rspipe.curate.masks import MaskSource, open_mask, outlines_of
from rspipe.curate.rows import Unusable
from rspipe.errors import UnreadableImage
from rspipe.io.outlines import Outlines
from rspipe.io.resample import Shape
from rspipe.io.storage import Storage
from rspipe.schema import Box, DatasetCard

Row = dict[str, Any]


@dataclass(frozen=True)
class ImageAnnotation:
    """What is said of an image and has to be cut with it."""

    objects: Objects | None
    mask: MaskSource | None
    note: str | None
    """What no tile can carry."""

    def in_tile(self, tile: Box, config: SliceConfig, shape: Shape | None) -> list[Row] | None:
        """The objects of a tile; its mask is only looked at, for `pack` reads it again.

        Raises:
            Unusable: the mask cannot be decoded here.
        """
        if self.mask is not None and not self.mask.is_sound:
            try:
                self.mask.read(tile, shape)
            except UnreadableImage as error:
                raise Unusable("bad_annotation", f"mask {error}") from error
        return None if self.objects is None else self.objects.in_tile(tile, config, shape)


NOTHING_SAID = ImageAnnotation(None, None, None)


@contextmanager
def open_annotation(storage: Storage, row: Row, card: DatasetCard) -> Iterator[ImageAnnotation]:
    """Open an image's annotation.

    Raises:
        Unusable: it cannot be read, or its mask is of another size.
    """
    with ExitStack() as stack:
        try:
            outlines = outlines_of(storage, row, card)
            mask = stack.enter_context(open_mask(storage, row, outlines))
        except UnreadableImage as error:
            kind = "mask" if row["mask_path"] else "outlines"
            raise Unusable("bad_annotation", f"{kind} {error}") from error
        if mask is not None and mask.size != (row["height"], row["width"]):
            sizes = (
                f"{mask.size[0]}x{mask.size[1]} px, its image has {row['height']}x{row['width']}"
            )
            raise Unusable("bad_annotation", f"mask {row['mask_path']}: {sizes}")
        objects = _objects(row, outlines)
        notes = [
            outlines.note if outlines else None,
            objects.note(row["height"], row["width"]) if objects else None,
        ]
        yield ImageAnnotation(objects, mask, "; ".join(filter(None, notes)) or None)


def _objects(row: Row, outlines: Outlines | None) -> Objects | None:
    if row["boxes"] is not None:
        return Objects.from_boxes(row["boxes"])
    if outlines is None or (outlines.objects and all(o.is_buffer for o in outlines.objects)):
        return None
    return Objects.from_outlines(outlines)
