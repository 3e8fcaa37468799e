# SPDX-License-Identifier: Apache-2.0
"""The files of one dataset, listed once, in one order on every machine."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from rspipe.errors import UnreadableImage
from rspipe.io.images import claims_image
from rspipe.io.storage import FileEntry, Storage

MOST_TEXT_BYTES = 2**30
"""Annotation files larger than this are not read."""


@dataclass(frozen=True)
class FileTree:
    """All files of a dataset, members of its containers included, sorted by path."""

    storage: Storage
    files: tuple[FileEntry, ...]

    @classmethod
    def scan(cls, root: Path | Storage, only: str | None = None) -> "FileTree":
        """List a folder and everything below it.

        Args:
            root: the dataset's folder.
            only: list this one file of the folder, and its members, instead of everything.
        """
        storage = root if isinstance(root, Storage) else Storage(str(root))
        return cls(storage, storage.scan(only))

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Posix paths of all files, sorted."""
        return tuple(entry.path for entry in self.files)

    @cached_property
    def image_paths(self) -> tuple[str, ...]:
        """Posix paths of the files that claim to be images, sorted."""
        return tuple(path for path in self.paths if claims_image(path))

    @cached_property
    def images_by_stem(self) -> dict[str, tuple[str, ...]]:
        """Image paths by file name without suffix."""
        found: dict[str, list[str]] = defaultdict(list)
        for path in self.image_paths:
            found[path.rpartition("/")[2].rpartition(".")[0]].append(path)
        return {stem: tuple(paths) for stem, paths in found.items()}

    @cached_property
    def images_by_name(self) -> dict[str, tuple[str, ...]]:
        """Image paths by file name in lower case: downloads differ in `.JPG` and `.jpg`."""
        found: dict[str, list[str]] = defaultdict(list)
        for path in self.image_paths:
            found[path.rpartition("/")[2].lower()].append(path)
        return {name: tuple(paths) for name, paths in found.items()}

    @cached_property
    def _by_suffix(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            name = path.rpartition("/")[2]
            found[name[name.rfind(".") :].lower() if "." in name[1:] else ""].append(path)
        return {suffix: tuple(paths) for suffix, paths in found.items()}

    @cached_property
    def _faulty(self) -> frozenset[str]:
        return frozenset(entry.path for entry in self.files if entry.fault is not None)

    def with_suffix(self, *suffixes: str) -> tuple[str, ...]:
        """Posix paths of the files with one of these lower-case suffixes."""
        found = [self._by_suffix.get(suffix, ()) for suffix in dict.fromkeys(suffixes)]
        return found[0] if len(found) == 1 else tuple(sorted(chain.from_iterable(found)))

    def read_text(self, path: str, most_bytes: int = MOST_TEXT_BYTES) -> str:
        """Read one file of the tree, or its beginning; bytes that are no UTF-8 become U+FFFD.

        What cannot be opened reads as empty: it is named in the ledger when it is opened there.
        """
        if path in self._faulty:
            return ""
        try:
            with self.storage.open(path) as stream:
                return stream.read(most_bytes).decode(errors="replace")
        except (UnreadableImage, OSError):
            return ""
