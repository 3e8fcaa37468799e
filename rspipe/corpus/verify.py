"""Check a corpus against its own manifest."""

import hashlib

from rspipe.corpus.reader import Corpus, read_manifest
from rspipe.errors import CorpusError
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
        CorpusError: a file is missing, changed or extra, or a count does not fit.
        UnreadableImage: a packed image cannot be decoded.
    """
    manifest = read_manifest(corpus)
    for name, expected in manifest["files"].items():
        if not (corpus / name).is_file():
            raise CorpusError(f"{corpus / name}: missing; rebuild the corpus with `make curate`")
        if checksum(corpus / name) != expected:
            raise CorpusError(f"{corpus / name}: changed since it was written; rebuild the corpus")
    opened = Corpus.open(corpus)
    kept = manifest["funnel"][-1]["kept"]
    if kept != len(opened):
        raise CorpusError(f"{corpus}: {len(opened)} tiles, the funnel says {kept}")
    for row in range(len(opened)):
        opened.images([row])
    return len(opened)
