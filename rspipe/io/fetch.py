# SPDX-License-Identifier: Apache-2.0
"""Fetch a dataset as its card says: every file verified, archives unpacked, the rest told.

Everything lies in the dataset's own folder. `fetched.yaml` there records what came from where, and
is what a second run goes by. Files behind a login or a form are asked of the person, by name.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from rspipe.catalog import CARD_NAME
from rspipe.errors import FetchError
from rspipe.io.transfer import Patience, digests_of, transfer, wrong_digest
from rspipe.io.unpack import is_archive, unpack
from rspipe.recipe import read_yaml
from rspipe.schema import DatasetCard, Download

RECORD_NAME = "fetched.yaml"

State = Literal["present", "fetched", "planned", "by hand"]


@dataclass(frozen=True)
class FetchOptions:
    """How a dataset is fetched."""

    dry_run: bool = False
    """Say what would be done, and do nothing."""
    unpack: bool = True
    """Unpack archives. Curation reads them packed, too."""
    keep_archives: bool = False
    """Keep unpacked archives, as NAME.unpacked; those fetched by hand are always kept."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Delivery:
    """What became of one file of a card."""

    path: str
    state: State
    detail: str
    left_out: dict[str, str] = field(default_factory=dict)
    """Members of the archive that were not unpacked, with the reason."""

    @property
    def is_there(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in {"present", "fetched"}


def fetch(card: DatasetCard, folder: Path, options: FetchOptions) -> list[Delivery]:
    """Fetch what a card lists and the folder lacks.

    Args:
        card: the dataset's card.
        folder: the dataset's folder, made where it is not there.
        options: how.

    Returns:
        One delivery per file of the card, in its order; one that asks a person to fetch the
        dataset by hand where the card knows no file.

    Raises:
        FetchError: the disk is too small, or a file cannot be fetched, verified or unpacked.
    """
    record = _Record(folder)
    if not card.downloads:
        return [_without_addresses(card, folder)]
    _check_disk(card, folder, record)
    return [_deliver(download, folder, record, options) for download in card.downloads]


def path_of(download: Download) -> str:
    """Return where a file goes below the dataset's folder.

    >>> path_of(Download(url="https://host/a/Train.zip?download=1"))
    'Train.zip'

    Raises:
        FetchError: the address names no file and the card no path.
    """
    path = download.path or download.url.partition("?")[0].rpartition("/")[2]
    if path in {"", ".", ".."}:
        raise FetchError(f"{download.url}: names no file; its card must say a `path`")
    return path


def _without_addresses(card: DatasetCard, folder: Path) -> Delivery:
    where = f"see {card.urls[0]}" if card.urls else "the card knows no address"
    if _holds_data(folder):
        return Delivery("", "present", f"{folder} holds files; nothing to check them by")
    return Delivery("", "by hand", f"{where}; put its content below {folder}")


def _holds_data(folder: Path) -> bool:
    ours = {CARD_NAME, RECORD_NAME}
    return folder.is_dir() and any(file.name not in ours for file in folder.iterdir())


def _check_disk(card: DatasetCard, folder: Path, record: "_Record") -> None:
    """Refuse at once what cannot fit, as far as the card knows sizes."""
    missing = [d for d in card.downloads if not record.has(path_of(d)) and not d.manual]
    need = sum(d.size_bytes or 0 for d in missing)
    place = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(place).free
    if need > free:
        raise FetchError(
            f"{card.name} needs {need:,} bytes and {place} has {free:,} free; "
            "make room, or choose another folder with --to"
        )


def _deliver(
    download: Download, folder: Path, record: "_Record", options: FetchOptions
) -> Delivery:
    path = path_of(download)
    target = folder / path
    if record.has(path):
        return Delivery(path, "present", "fetched before", record.left_out(path))
    if download.manual and not target.is_file():
        return _by_hand(download, folder)
    unpacks = options.unpack and download.unpack and is_archive(path)
    if options.dry_run:
        does = "unpack" if target.is_file() else "fetch and unpack" if unpacks else "fetch"
        return Delivery(path, "planned", f"would {does} {download.url}")
    entry = _obtain(download, target, options.patience)
    if unpacks:
        entry |= _unpacked(download, target, folder, options)
    record.add(path, entry)
    return Delivery(path, "fetched", f"from {entry['url']}", record.left_out(path))


def _by_hand(download: Download, folder: Path) -> Delivery:
    if download.path is None:
        where = f"put its content below {folder}"
        if _holds_data(folder):
            return Delivery("", "present", f"{folder} holds files; nothing to check them by")
    else:
        where = f"put it at {folder / download.path}, then fetch again to verify and unpack it"
    return Delivery(download.path or "", "by hand", f"visit {download.url} and {where}")


def _obtain(download: Download, target: Path, patience: Patience) -> dict[str, Any]:
    """Take the file that is there if it is the right one, else fetch it."""
    url = download.url
    if target.is_file():
        digests = digests_of(target)
        wrong = wrong_digest(digests, download)
        if wrong is not None:
            aside = target.replace(target.with_name(target.name + ".bad"))
            raise FetchError(f"{target}: {wrong}; kept as {aside}; fetch again for a new copy")
    else:
        url, digests = transfer(download, target, patience)
    return {"url": url, "size_bytes": digests.size_bytes, "sha256": digests.sha256}


def _unpacked(
    download: Download, archive: Path, folder: Path, options: FetchOptions
) -> dict[str, Any]:
    out = unpack(archive, folder / download.unpack_to)
    # Read in place beside what came out of it, every picture would be there twice.
    if download.manual or options.keep_archives or out.left_out:
        archive.replace(archive.with_name(archive.name + ".unpacked"))
    else:
        archive.unlink()
    return {"unpacked_files": out.files, "left_out": out.left_out}


class _Record:
    """`fetched.yaml`: the files of a dataset that are there, by path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / RECORD_NAME
        self._files: dict[str, dict[str, Any]] = {}
        if self._file.is_file():
            try:
                self._files = dict(read_yaml(self._file.read_text())["files"])
            except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
                message = f"{self._file} is not what rspipe wrote; remove it to fetch anew"
                raise FetchError(message) from error

    def has(self, path: str) -> bool:
        entry = self._files.get(path)
        return entry is not None and ("unpacked_files" in entry or (self._folder / path).is_file())

    def left_out(self, path: str) -> dict[str, str]:
        return dict(self._files[path].get("left_out", {}))

    def add(self, path: str, entry: dict[str, Any]) -> None:
        self._files[path] = entry
        text = yaml.safe_dump({"files": self._files}, sort_keys=True, allow_unicode=True)
        partial = self._file.with_name(RECORD_NAME + ".part")
        partial.write_text(text)
        partial.replace(self._file)
