# SPDX-License-Identifier: Apache-2.0
"""Pictures become data URIs."""

import base64
import io

import numpy as np
from PIL import Image

from rspipe.corpus.reader import Corpus
from rspipe.report import pictures
from rspipe.report.pictures import PictureBook


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_pictures_are_shrunk_and_never_enlarged():
    assert decoded(pictures.jpeg_uri(np.zeros((40, 80, 3), np.uint8), 20)).size == (20, 10)
    assert decoded(pictures.jpeg_uri(np.zeros((4, 8, 3), np.uint8), 20)).size == (8, 4)


def test_masks_keep_their_classes_and_grey_out_the_rest():
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    drawn = np.asarray(decoded(pictures.mask_uri(mask, [(9, 8, 7), (0, 0, 0)], 64)).convert("RGB"))
    assert tuple(drawn[0, 0]) == (9, 8, 7)
    assert tuple(drawn[0, 1]) == (0, 0, 0)
    assert tuple(drawn[1, 0]) == tuple(drawn[1, 1]) == (128, 128, 128)


def test_book_falls_back_to_the_corpus_and_leaves_out_the_unknown(folders):
    book = PictureBook(Corpus.open(folders.corpus))
    assert "tile3" not in book
    assert set(book.uris(["copy0", "tile3", "gone", None])) == {"copy0", "tile3"}


def test_a_file_that_is_no_picture_has_no_uri(tmp_path):
    broken = tmp_path / "x.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert pictures.file_uri(broken, 32) is None
    assert pictures.file_uri(tmp_path / "absent.png", 32) is None
