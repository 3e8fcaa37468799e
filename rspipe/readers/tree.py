"""The files of one dataset, listed once, in one order on every machine."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from rspipe.io.images import claims_image


@dataclass(frozen=True)
class FileEntry:
    """One file, as the operating system lists it."""

    path: str
    """Posix path relative to the dataset's root."""
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class FileTree:
    """All files below a dataset's root, sorted by path."""

    root: Path
    files: tuple[FileEntry, ...]

    @classmethod
    def scan(cls, root: Path) -> "FileTree":
        """List a folder and everything below it; a link to a folder is listed, not followed."""
        return cls(root, tuple(sorted(_walk(root), key=lambda entry: entry.path)))

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
            found[PurePosixPath(path).stem].append(path)
        return {stem: tuple(paths) for stem, paths in found.items()}

    def with_suffix(self, *suffixes: str) -> tuple[str, ...]:
        """Posix paths of the files with one of these lower-case suffixes."""
        return tuple(p for p in self.paths if PurePosixPath(p).suffix.lower() in suffixes)

    def read_text(self, path: str) -> str:
        """Read one file of the tree; bytes that are no UTF-8 become U+FFFD."""
        file = self.root / path
        # A pipe would be waited on forever; a dead link is named when it is opened as an image.
        return file.read_text(errors="replace") if file.is_file() else ""


def _walk(root: Path) -> Iterator[FileEntry]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in [*names, *links]:
            full = Path(folder) / name
            # Of a link that leads nowhere the link itself is listed; opening it says what is wrong.
            stat = full.stat() if full.exists() else full.lstat()
            yield FileEntry(full.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns)
