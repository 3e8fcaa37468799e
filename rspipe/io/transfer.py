# SPDX-License-Identifier: Apache-2.0
"""One file over the network: resumed, retried, from the first mirror that has it, and verified.

Bytes gather in `NAME.part`; `NAME.part.json` says of which address, version and length they are.
Only a whole file whose checksum is right gets its name, by an atomic rename. urllib is enough for
this (ranges, redirects, proxies), so no HTTP library is needed.
"""

import fcntl
import hashlib
import http.client
import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

import rspipe
from rspipe.errors import FetchError
from rspipe.progress import tally
from rspipe.schema import Download

_CHUNK_BYTES = 2**20
_SPARE_BYTES = 64 * 2**20
"""Left free on the disk, so that the machine stays usable."""
_MOST_WAIT_S = 900.0
"""Of a server that asks to be left alone for longer, no more is believed."""
_HUB = "https://huggingface.co/datasets/{}/resolve/main/{}"
_SCHEMES = ("https://", "http://", "file://")
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long a transfer puts up with a bad connection."""

    attempts: int = 6
    """Attempts in a row that bring no new byte, until an address is given up."""
    first_delay_s: float = 1.0
    most_delay_s: float = 60.0
    timeout_s: float = 60.0
    """Silence after which a connection counts as broken."""
    sleep: Callable[[float], None] = time.sleep

    def delay_s(self, failures: int) -> float:
        """Return the pause after so many failures in a row: doubling, bounded.

        >>> [Patience().delay_s(n) for n in (1, 2, 3, 20)]
        [1.0, 2.0, 4.0, 60.0]
        """
        return float(min(self.most_delay_s, self.first_delay_s * 2 ** min(failures - 1, 32)))


@dataclass(frozen=True)
class Digests:
    """What a file's bytes are."""

    size_bytes: int
    sha256: str
    md5: str


class _Refused(Exception):
    """An address will not give the file, however often it is asked."""


class _Interrupted(Exception):
    """The connection failed; asking again may help."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def transfer(download: Download, target: Path, patience: Patience) -> tuple[str, Digests]:
    """Fetch one file to `target`, or leave `target` as it was.

    Returns:
        The address that served it, and what its bytes are.

    Raises:
        FetchError: no address served the right bytes (each with its reason), the disk is too
            small, or another process is fetching the same file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    with _Partial.open(target) as partial:
        for url in (download.url, *download.mirrors):
            try:
                digests = _fetch_from(web_address(url), download, partial, patience)
            except _Refused as refusal:
                failures.append(f"{url}: {refusal}")
                continue
            partial.finish(target)
            return url, digests
    raise FetchError(f"{target.name} cannot be fetched:\n  " + "\n  ".join(failures))


def web_address(url: str) -> str:
    """Turn a hub or bucket address into one that can be opened.

    >>> web_address("hf://datasets/torchgeo/dior/Images_test.zip")
    'https://huggingface.co/datasets/torchgeo/dior/resolve/main/Images_test.zip'
    >>> web_address("s3://spacenet-dataset/a/b.tar.gz")
    'https://spacenet-dataset.s3.amazonaws.com/a/b.tar.gz'

    Raises:
        FetchError: no scheme that can be fetched.
    """
    if url.startswith("hf://datasets/"):
        owner, _, rest = url.removeprefix("hf://datasets/").partition("/")
        name, _, path = rest.partition("/")
        return _HUB.format(f"{owner}/{name}", path)
    if url.startswith("s3://"):
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return f"https://{bucket}.s3.amazonaws.com/{key}"
    if not url.startswith(_SCHEMES):
        raise FetchError(f"{url}: can fetch http(s)://, hf://datasets/, s3:// and file:// only")
    return url


def digests_of(file: Path) -> Digests:
    """Hash a file."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            size += len(chunk)
            sha256.update(chunk)
            md5.update(chunk)
    return Digests(size, sha256.hexdigest(), md5.hexdigest())


def wrong_digest(digests: Digests, download: Download) -> str | None:
    """Say which published checksum a file does not have, if any."""
    for kind, wanted, got in (
        ("SHA-256", download.sha256, digests.sha256),
        ("MD5", download.md5, digests.md5),
    ):
        if wanted is not None and wanted != got:
            return f"its {kind} is {got}, published is {wanted}"
    return None


def _fetch_from(url: str, download: Download, partial: "_Partial", patience: Patience) -> Digests:
    """Fetch from one address and verify; bytes that are wrong are kept aside.

    Bytes joined from two connections may be of two versions, so they get one second chance, whole.
    """
    joined = _gather(url, download, partial, patience)
    while True:
        digests = digests_of(partial.file)
        wrong = wrong_digest(digests, download)
        if wrong is None:
            return digests
        aside = partial.set_aside()
        if not joined:
            raise _Refused(f"{wrong}; kept as {aside}")
        _gather(url, download, partial, patience)
        joined = False


def _gather(url: str, download: Download, partial: "_Partial", patience: Patience) -> bool:
    """Ask until the file is whole; return whether it was joined from several connections."""
    checked = download.sha256 is not None or download.md5 is not None
    joined, failures = partial.size > 0, 0
    most_seen = partial.size if partial.url == url else 0
    while True:
        try:
            _read(url, checked, partial, patience.timeout_s)
        except _Interrupted as error:
            # A transfer that moves goes on; one that does not is given up.
            joined = True
            failures = 0 if partial.size > most_seen else failures + 1
            most_seen = max(most_seen, partial.size)
            if failures >= patience.attempts:
                raise _Refused(f"{error} ({failures} times without a new byte)") from error
            delay_s = patience.delay_s(max(failures, 1))
            delay_s = max(delay_s, min(error.wait_s, _MOST_WAIT_S))
            tqdm.write(f"{url}: {error}; again in {delay_s:.0f} s", file=sys.stderr)
            patience.sleep(delay_s)
        else:
            return joined


def _read(url: str, checked: bool, partial: "_Partial", timeout_s: float) -> None:
    """Ask once, for what is missing, and read until the end or until the connection breaks."""
    headers = {"User-Agent": f"rspipe/{rspipe.__version__}", "Accept-Encoding": "identity"}
    headers |= partial.range_headers(url, checked)
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - schemes are checked
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            _check_page(answer, partial.target)
            partial.begin(url, answer)
            while chunk := answer.read1(_CHUNK_BYTES):
                partial.append(chunk)
    except urllib.error.HTTPError as error:
        with error:
            _explain_status(error, partial)
    except (http.client.HTTPException, urllib.error.URLError, OSError) as error:
        _explain_break(error)
    if not partial.is_whole:
        raise _Interrupted(f"the connection ended at {partial.size:,} of {partial.total:,} bytes")


def _check_page(answer: Any, target: Path) -> None:
    kind = answer.headers.get("Content-Type", "")
    if kind.startswith("text/html") and target.suffix not in {".html", ".htm"}:
        raise _Refused("a web page came instead of the file: a login or a form is in the way")


def _explain_status(error: urllib.error.HTTPError, partial: "_Partial") -> None:
    reason = f"HTTP {error.code} {error.reason}"
    if error.code == 416:  # more bytes here than there: another version, or already whole
        if partial.total == partial.size:
            return
        partial.restart()
        raise _Interrupted(reason) from error
    if error.code not in _TRANSIENT:
        raise _Refused(reason) from error
    wait = error.headers.get("Retry-After", "")
    raise _Interrupted(reason, float(wait) if wait.isdecimal() else 0.0) from error


def _explain_break(error: Exception) -> None:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, FileNotFoundError | IsADirectoryError):
        raise _Refused("no such file") from error
    raise _Interrupted(f"the connection broke: {cause or type(cause).__name__}") from error


class _Partial:
    """The bytes of a file so far, and where they are from."""

    def __init__(self, target: Path, stream: BinaryIO) -> None:
        self.target, self._stream = target, stream
        self.file = _beside(target, ".part")
        self._note_file = _beside(target, ".part.json")
        self._note = self._read_note()
        self._bar: tqdm[Any] | None = None

    @classmethod
    @contextmanager
    def open(cls, target: Path) -> Iterator["_Partial"]:
        """Open the part file, alone."""
        partial = cls(target, _open_alone(_beside(target, ".part")))
        try:
            yield partial
        finally:
            partial._close()

    def _close(self) -> None:
        self._close_bar()
        if not self.size:
            self.file.unlink(missing_ok=True)
            self._note_file.unlink(missing_ok=True)
        self._stream.close()

    def _read_note(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note_file.read_text())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._stream.tell()

    @property
    def url(self) -> str | None:
        """The address that the last bytes came from."""
        return self._note.get("url")

    @property
    def total(self) -> int | None:
        """Length of the whole file, where the server said it."""
        return self._note.get("total")

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, as far as the server said."""
        return self.total is None or self.size == self.total

    def range_headers(self, url: str, checked: bool) -> dict[str, str]:
        """Ask for the rest, where it can be told that it is the rest of the same file.

        The server's own version mark tells it; without one, or from another address, only a
        published checksum (`checked`) will.
        """
        mark = self._note.get("mark") if self._note.get("url") == url else None
        if not self.size or (mark is None and not checked):
            # The bytes so far stay until an answer comes: a dead mirror must not cost them.
            return {}
        headers = {"Range": f"bytes={self.size}-"}
        return headers | ({"If-Range": mark} if mark else {})

    def begin(self, url: str, answer: Any) -> None:
        """Take what a server answers as the whole (200) or as the rest (206)."""
        start, total = _extent(answer)
        if start != self.size or (start and self.total not in {None, total}):
            self.restart()
            if start:
                raise _Interrupted("the server sent another part than the one asked for")
        etag = answer.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else None
        mark = strong or answer.headers.get("Last-Modified")
        self._note = {"url": url, "mark": mark, "total": total}
        self._check_disk(total)
        self._note_file.write_text(json.dumps(self._note))
        self._open_bar(total)

    def _check_disk(self, total: int | None) -> None:
        free = shutil.disk_usage(self.file.parent).free
        missing = (total or 0) - self.size
        if missing + _SPARE_BYTES > free:
            raise FetchError(
                f"{self.target}: {missing:,} bytes are missing and the disk has {free:,} free; "
                "make room or choose another folder with --to, then fetch again"
            )

    def append(self, chunk: bytes) -> None:
        """Write bytes through to the file."""
        try:
            self._stream.write(chunk)
            self._stream.flush()
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise FetchError(f"{self.file}: cannot be written: {why}; then fetch again") from error
        if self._bar is not None:
            self._bar.update(len(chunk))

    def restart(self) -> None:
        """Forget the bytes so far."""
        self._stream.seek(0)
        self._stream.truncate()
        self._note = {}
        self._note_file.unlink(missing_ok=True)

    def set_aside(self) -> Path:
        """Call the wrong bytes NAME.bad, for people to look at, and begin anew."""
        aside = self.file.replace(_beside(self.target, ".bad"))
        self._stream.close()
        self._stream = _open_alone(self.file)
        self.restart()
        return aside

    def finish(self, target: Path) -> None:
        """Give the file its name."""
        self.file.replace(target)
        self._note_file.unlink(missing_ok=True)

    def _open_bar(self, total: int | None) -> None:
        self._close_bar()
        self._bar = tally(
            self.target.name,
            total,
            initial=self.size,
            unit="B",
            unit_scale=True,
        )

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def _open_alone(file: Path) -> BinaryIO:
    stream = file.open("ab")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise FetchError(f"{file}: another process is fetching this file") from error
    return stream


def _extent(answer: Any) -> tuple[int, int | None]:
    """Read where an answer's bytes begin and how long the whole file is."""
    length = answer.headers.get("Content-Length")
    body = None if length is None else int(length)
    if getattr(answer, "status", None) != 206:
        return 0, body
    span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    start = span.partition("-")[0]
    if not start.isdecimal():
        raise _Interrupted("the server sent a part without saying which")
    if total.isdecimal():
        return int(start), int(total)
    return int(start), None if body is None else int(start) + body


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(target.name + suffix)
