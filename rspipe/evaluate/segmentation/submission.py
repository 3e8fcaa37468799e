# SPDX-License-Identifier: Apache-2.0
"""Predictions as an evaluation server takes them: one PNG of class indices per image, in a ZIP."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rspipe.errors import RspipeError
from rspipe.evaluate.segmentation.masks import ClassMask
from rspipe.io.images import encode_png


def write_submission(predictions: Iterable[tuple[str, ClassMask]], archive: Path) -> int:
    """Write predicted masks into a ZIP, each `<stem of the image>.png` at its root.

    Values are places among the scored classes, from 0. Of LoveDA, whose masks count its seven
    classes from 1 and name missing data 0, that is the class id - 1, as its server wants it; it
    takes no archive with a folder in it.

    Args:
        predictions: path of an image and its predicted mask, one after the other.
        archive: written whole or not at all; the same predictions give the same bytes.

    Returns:
        Number of masks.

    Raises:
        RspipeError: two images have one stem.

    Source: Junjue-Wang/LoveDA, README and issue 6.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_name(f".{archive.name}.partial")
    names: set[str] = set()
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as pack:
        for path, mask in predictions:
            name = f"{Path(path).stem}.png"
            if name in names:
                raise RspipeError(f"{path}: a second image named {name}; the server knows one")
            names.add(name)
            # A fixed date: the archive is a function of the predictions.
            pack.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), encode_png(_grey(mask)))
    partial.replace(archive)
    return len(names)


def _grey(mask: ClassMask) -> np.ndarray:
    return mask[:, :, None]
