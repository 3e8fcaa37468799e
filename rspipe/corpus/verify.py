# SPDX-License-Identifier: Apache-2.0
"""Check a corpus against its own manifest."""

import hashlib

from rspipe.corpus.reader import Corpus, read_manifest
from rspipe.errors import CorpusDamaged, UnreadableImage
from rspipe.io.places import Place

_CHUNK_BYTES = 2**22


def checksum(path: Place) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
        return digest.hexdigest()


def verify(corpus: Place) -> int:
    """Check every file's checksum and decode every image.

    Returns:
        The number of tiles.

    Raises:
        CorpusError: no finished corpus is there, or it is of another schema version.
        CorpusDamaged: a file is missing, changed or extra, a count does not fit, or a packed image
            cannot be decoded.
    """
    manifest = read_manifest(corpus)
    for name, expected in manifest["files"].items():
        if not (corpus / name).is_file():
            raise CorpusDamaged(f"{corpus / name}: missing; rebuild the corpus with `make curate`")
        if checksum(corpus / name) != expected:
            raise CorpusDamaged(
                f"{corpus / name}: changed since it was written; rebuild the corpus"
            )
    opened = Corpus.open(corpus)
    kept = manifest["funnel"][-1]["kept"]
    if kept != len(opened):
        raise CorpusDamaged(f"{corpus}: {len(opened)} tiles, the funnel says {kept}")
    for row in range(len(opened)):
        try:
            opened.images([row])
        except UnreadableImage as error:
            raise CorpusDamaged(f"{error}; rebuild the corpus") from error
    return len(opened)
