# SPDX-License-Identifier: Apache-2.0
"""Pictures inside the page: everything becomes a data URI, so the page needs no other file."""

import base64
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from rspipe.corpus.format import PICTURES
from rspipe.corpus.reader import Corpus
from rspipe.errors import UnreadableImage
from rspipe.io.images import Pixels, decode, to_rgb
from rspipe.io.tables import open_table
from rspipe.report.legend import Rgb

SMALL_PX = 96
"""Side of pictures of dropped tiles: curate keeps no larger ones."""

_NO_CLASS = (128, 128, 128)  # pixels that count for nothing
_VEIL = (255, 110, 20)


class PictureBook:
    """Small pictures of tiles by tile id: those that curate kept, else from the corpus itself."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        path = corpus.path / PICTURES
        self._kept: dict[str, bytes] = {}
        if path.is_file():
            table = open_table(path).read(columns=["tile_id", "picture"])
            data = [picture["bytes"] for picture in table["picture"].to_pylist()]
            self._kept = dict(zip(table["tile_id"].to_pylist(), data, strict=True))

    @property
    def is_kept(self) -> bool:
        """Whether curate kept any picture."""
        return bool(self._kept)

    @property
    def tile_ids(self) -> list[str]:
        """Tiles whose pictures curate kept."""
        return sorted(self._kept)

    def __contains__(self, tile_id: object) -> bool:
        return tile_id in self._kept

    def uris(self, tile_ids: Iterable[str | None]) -> dict[str, str]:
        """Return the pictures of some tiles as data URIs; a tile without one is left out."""
        wanted = sorted({tile for tile in tile_ids if tile is not None})
        kept = {tile: uri_of(self._kept[tile], tile) for tile in wanted if tile in self._kept}
        found = {tile: uri for tile, uri in kept.items() if uri is not None}
        return found | self._from_corpus([tile for tile in wanted if tile not in found])

    def _from_corpus(self, wanted: list[str]) -> dict[str, str]:
        if not wanted or not len(self._corpus):
            return {}
        ids = self._corpus.table(["tile_id"])["tile_id"]
        rows = np.flatnonzero(pc.is_in(ids, pa.array(wanted, pa.string())).to_numpy())
        images = self._corpus.images(rows.tolist())
        names = ids.take(pa.array(rows)).to_pylist()
        return {name: jpeg_uri(image, SMALL_PX) for name, image in zip(names, images, strict=True)}


def uri_of(data: bytes, name: str) -> str | None:
    """Encode a stored picture for the page; None where it cannot be decoded."""
    try:
        return jpeg_uri(to_rgb(decode(data, name)), SMALL_PX)
    except UnreadableImage:
        return None  # shown as "no picture"


def jpeg_uri(pixels: Pixels, side_px: int) -> str:
    """Shrink to at most `side_px` a side and encode; JPEG, because pages are sent by mail."""
    image = Image.fromarray(pixels)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=86, subsampling=0, optimize=True)
    return _data_uri("image/jpeg", buffer.getvalue())


def file_uri(path: Path, side_px: int) -> str | None:
    """Encode a picture file; None where it is absent or no 8-bit picture."""
    shrunk = read_picture(path)
    return None if shrunk is None else jpeg_uri(shrunk, side_px)


def read_picture(path: Path) -> Pixels | None:
    """Read a picture file as RGB; None where it is absent or no 8-bit picture."""
    if not path.is_file():
        return None
    try:
        return to_rgb(decode(path.read_bytes(), str(path)))
    except UnreadableImage:
        return None


def mask_uri(classes: NDArray[np.uint8], palette: Sequence[Rgb], side_px: int) -> str:
    """Draw class indices in the colours of a palette; indices past its last are grey."""
    height, width = classes.shape
    shrink = max(1.0, max(height, width) / side_px)
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    small = Image.fromarray(classes).resize(size, Image.Resampling.NEAREST)
    every = [*palette, *[_NO_CLASS] * (256 - len(palette))]
    small.putpalette([value for triple in every for value in triple])
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return _data_uri("image/png", buffer.getvalue())


def veil_uri(strength: NDArray[np.uint8]) -> str:
    """Draw a transparent picture in one colour, 0 unseen and 255 as strong as it gets.

    Args:
        strength: (rows, columns); the page enlarges them.
    """
    rgba = np.empty((*strength.shape, 4), np.uint8)
    rgba[..., :3] = _VEIL
    rgba[..., 3] = (strength.astype(np.uint16) * 200 // 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG", optimize=True)
    return _data_uri("image/png", buffer.getvalue())


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
