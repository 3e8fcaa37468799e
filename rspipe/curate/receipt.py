# SPDX-License-Identifier: Apache-2.0
"""Receipts of the files of a corpus: what a file is, written by whoever wrote the file.

A receipt lies in the stages, not in the corpus. It is written last, so a file without one is
unfinished; and it carries the checksum, so nobody has to read a corpus again to write its manifest.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rspipe.corpus.verify import checksum
from rspipe.io.places import Place, size_bytes, written_whole
from rspipe.io.tables import read_json, write_json

Note = dict[str, Any]


@contextmanager
def write_with_receipt(target: Place, receipt: Place) -> Iterator[tuple[Path, Note]]:
    """Give a temporary file to write and a note to fill in; both are put down when all is well.

    Args:
        target: the file of the corpus.
        receipt: where its receipt goes: the note, with sha256 and size_bytes of the file.
    """
    note: Note = {}
    with written_whole(target) as partial:
        yield partial, note
        note |= {"sha256": checksum(partial), "size_bytes": partial.stat().st_size}
    write_json(note, receipt)


def read_receipt(receipt: Place, target: Place) -> Note | None:
    """Read a receipt; None unless it is there and the file is as large as it says."""
    try:
        note: Note = read_json(receipt)
        return note if size_bytes(target) == note["size_bytes"] else None
    except (OSError, ValueError, KeyError):
        return None
