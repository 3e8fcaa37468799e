# SPDX-License-Identifier: Apache-2.0
"""Files of a dataset, wherever they lie: a local folder, object storage, or inside containers.

Paths are posix paths relative to a root. A container is a folder: `train.zip/a/b.jpg` is a member
of `train.zip`, `part.parquet/00000017/image` a picture of row 17. Nothing is unpacked by hand, and
nothing is written but below the storage's cache.
"""

import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from rspipe.errors import UnreadableImage
from rspipe.io.containers import CONTAINERS, Container, compression_of, container_suffix
from rspipe.io.containers.tar_file import unpacked_tar
from rspipe.io.places import room_in
from rspipe.recipe import fingerprint

MOST_BYTES_IN_MEMORY = 2**29
"""Larger files are never read whole; rasters are read by windows."""
LOCAL_CACHE = Path(tempfile.gettempdir()) / "rspipe-cache"
"""Where what had to be unpacked or converted lies, unless somebody says otherwise."""
_CHUNK_BYTES = 2**25
_OPEN_CONTAINERS = 4  # per process


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file, or one member of a container."""

    path: str
    """Posix path relative to the root."""
    size_bytes: int
    """0 where a container does not say."""
    mtime_ns: int
    """Time of change; 0 where the storage does not say."""
    fault: str | None = None
    """Why it must not be read."""
    members: int | None = None
    """For a container: how many members it has."""


@dataclass(frozen=True)
class Storage:
    """A root of files. Small and picklable: workers open it anew."""

    root: str
    """A local folder, or an fsspec URL (s3://bucket/folder)."""
    cache: Path = LOCAL_CACHE
    """Local folder for what has to be unpacked, converted or fetched to be read."""

    def __post_init__(self) -> None:
        # Workers may stand in another folder.
        if "://" not in self.root:
            object.__setattr__(self, "root", str(Path(self.root).absolute()))
        object.__setattr__(self, "cache", self.cache.absolute())

    def __reduce__(self) -> tuple[type["Storage"], tuple[str, Path]]:
        return Storage, (self.root, self.cache)

    @cached_property
    def _place(self) -> tuple[Any, str]:
        remote = "://" in self.root
        # What other processes wrote must be seen at once.
        fs, path = fsspec.core.url_to_fs(
            self.root, **({"use_listings_cache": False} if remote else {})
        )
        return fs, path.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether plain files are files of this machine."""
        return isinstance(self._place[0], LocalFileSystem)

    def exists(self) -> bool:
        """Whether the root is a folder that can be listed."""
        fs, path = self._place
        return bool(fs.isdir(path))

    def has(self, path: str) -> bool:
        """Whether a plain file, or a link, lies at a path."""
        fs, _ = self._place
        full = self._full(path)
        return bool(fs.exists(full)) or (self.is_local and Path(full).is_symlink())

    def below(self, folder: str) -> "Storage":
        """Return the storage of a folder below the root."""
        return Storage(f"{self.root.rstrip('/')}/{folder}", self.cache)

    def folders(self) -> list[str]:
        """Names of the folders right below the root, sorted."""
        return sorted(name for name, kind in self._listed() if kind == "directory")

    def loose_files(self) -> list[str]:
        """Names of the files right below the root, sorted."""
        return sorted(name for name, kind in self._listed() if kind != "directory")

    def _listed(self) -> list[tuple[str, str]]:
        fs, path = self._place
        return [(i["name"].rstrip("/").rsplit("/", 1)[-1], i["type"]) for i in fs.ls(path, True)]

    def scan(self, only: str | None = None) -> tuple[FileEntry, ...]:
        """List every file below the root and every member of its containers, sorted by path.

        Links to folders are listed, not followed. Of a broken container there is one entry, with
        its fault.

        Args:
            only: list this one file of the root (and its members) instead of all.
        """
        found = self._walk_local() if self.is_local else self._walk_remote()
        plain = [entry for entry in found if only is None or entry.path == only]
        entries = [e for entry in plain for e in self._with_members(entry)]
        return tuple(sorted(entries, key=lambda entry: entry.path))

    def _walk_local(self) -> Iterator[FileEntry]:
        root = self._place[1]
        for folder, folders, names in os.walk(root):
            folders.sort()
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for name in [*names, *links]:
                full = Path(folder) / name
                # Of a link to nowhere the link itself is listed; opening it says what is wrong.
                stat = full.stat() if full.exists() else full.lstat()
                yield FileEntry(full.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns)

    def _walk_remote(self) -> Iterator[FileEntry]:
        fs, root = self._place
        for name, info in sorted(fs.find(root, detail=True).items()):
            changed = info.get("LastModified") or info.get("mtime") or info.get("created")
            seconds = changed.timestamp() if hasattr(changed, "timestamp") else float(changed or 0)
            path = name[len(root) :].lstrip("/")
            yield FileEntry(path, int(info.get("size") or 0), int(seconds * 1e9))

    def _with_members(self, entry: FileEntry) -> Iterator[FileEntry]:
        if container_suffix(entry.path) is None or not self._is_regular(entry.path):
            yield entry
            return
        try:
            members = self.container(entry.path).members()
        except UnreadableImage as error:
            yield FileEntry(entry.path, entry.size_bytes, entry.mtime_ns, fault=error.reason)
            return
        if not members:
            yield entry
            return
        count = len(members)
        yield FileEntry(entry.path, entry.size_bytes, entry.mtime_ns, members=count)
        for m in members:
            yield FileEntry(f"{entry.path}/{m.name}", m.size_bytes, entry.mtime_ns, m.fault)

    def _is_regular(self, path: str) -> bool:
        # A pipe would be waited on forever.
        return not self.is_local or Path(self._full(path)).is_file()

    def _full(self, path: str) -> str:
        return f"{self._place[1]}/{path}"

    def split(self, path: str) -> tuple[str, str | None]:
        """Split a path into a plain file and the member in it, if it goes through a container.

        >>> Storage("/nowhere").split("a/b.zip/c/d.png")
        ('a/b.zip', 'c/d.png')
        """
        parts = path.split("/")
        for i, part in enumerate(parts[:-1]):
            if container_suffix(part) is None:
                continue
            outer = "/".join(parts[: i + 1])
            if not (self.is_local and Path(self._full(outer)).is_dir()):
                return outer, "/".join(parts[i + 1 :])
        return path, None

    def open(self, path: str) -> BinaryIO:
        """Open a file or a member for reading.

        Raises:
            UnreadableImage: it is not there, no regular file, or broken.
        """
        outer, member = self.split(path)
        if member is not None:
            return self.container(outer).open(member)
        return self._open_plain(path)

    def _open_plain(self, path: str) -> BinaryIO:
        full = self._full(path)
        if self.is_local and not Path(full).is_file():
            dead = Path(full).is_symlink() and not Path(full).exists()
            missing = "a link to nowhere" if dead else "not a regular file"
            gone = not Path(full).is_symlink() and not Path(full).exists()
            raise UnreadableImage(path, "the file has vanished" if gone else missing)
        try:
            if self.is_local:
                return Path(full).open("rb")
            return cast(BinaryIO, self._place[0].open(full, "rb"))
        except OSError as error:
            raise self._unreadable(path, error) from error

    def _unreadable(self, path: str, error: OSError) -> Exception:
        """Tell a file that cannot be read from storage that has a bad moment."""
        if isinstance(error, FileNotFoundError):
            return UnreadableImage(path, "the file has vanished")
        if not self.is_local and not isinstance(error, PermissionError):
            return error
        why = error.strerror or type(error).__name__
        return UnreadableImage(path, f"the file cannot be read: {why}")

    def read_bytes(self, path: str) -> bytes:
        """Read a file or a member whole.

        Raises:
            UnreadableImage: as `open`, or it is larger than MOST_BYTES_IN_MEMORY.
        """
        return self.read_unless(path, lambda head: False) or b""

    def read_unless(self, path: str, unwanted: Callable[[bytes], bool]) -> bytes | None:
        """Read a file or a member whole, or None if its first 512 bytes are unwanted.

        Raises:
            UnreadableImage: as `read_bytes`.
        """
        with self.open(path) as stream:
            chunks, size_bytes = [], 0
            try:
                chunk = stream.read(512)
                if unwanted(chunk):
                    return None
                while chunk:
                    chunks.append(chunk)
                    size_bytes += len(chunk)
                    if size_bytes > MOST_BYTES_IN_MEMORY:
                        most = f"{MOST_BYTES_IN_MEMORY:,} bytes"
                        why = f"larger than {most}, and no format that is read by windows"
                        raise UnreadableImage(path, why)
                    chunk = stream.read(_CHUNK_BYTES)
            except OSError as error:
                raise self._unreadable(path, error) from error
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @contextmanager
    def local_file(self, path: str) -> Iterator[Path]:
        """Give a file of this machine with the content of a file or member (for GDAL).

        A plain local file is given itself; anything else is a copy that is deleted afterwards.

        Raises:
            UnreadableImage: as `open`.
        """
        if self.is_local and self.split(path)[1] is None:
            self._open_plain(path).close()
            yield Path(self._full(path))
            return
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache, prefix="copy-") as folder:
            copy = Path(folder) / PurePosixPath(path).name
            with (
                room_in(self.cache, copy, None),
                self.open(path) as stream,
                copy.open("wb") as out,
            ):
                shutil.copyfileobj(stream, out, 2**20)
            yield copy

    def has_local(self, path: str) -> bool:
        """Whether a file lies on this machine as it is, neither in a container nor elsewhere."""
        return self.is_local and self.split(path)[1] is None

    def stamp(self, path: str) -> str:
        """Size and time of change of a file, or of the container that a member lies in.

        Raises:
            UnreadableImage: it is not there.
        """
        outer = self.split(path)[0]
        try:
            info = self._place[0].info(self._full(outer))
        except OSError as error:
            raise self._unreadable(path, error) from error
        changed = next(
            (info[k] for k in ("ETag", "mtime", "LastModified", "created") if k in info), ""
        )
        return f"{path} {info['size']} {changed}"

    def container(self, path: str) -> Container:
        """Open a container, or return it if this process has it open.

        Raises:
            UnreadableImage: it is broken.
        """
        # Threads share no file position: each has containers of its own.
        opened = _containers()
        key = (self.root, path, self._stamp(path))
        if key not in opened:
            opened[key] = self._open_container(path)
            while len(opened) > _OPEN_CONTAINERS:
                opened.popitem(last=False)[1].close()
        opened.move_to_end(key)
        return opened[key]

    def _stamp(self, path: str) -> str:
        """Size and time of change of a local file: a replaced container is opened anew."""
        try:
            stat = Path(self._full(path)).stat() if self.is_local else None
        except OSError:
            return "gone"
        return f"{stat.st_size}-{stat.st_mtime_ns}" if stat else ""

    def _open_container(self, path: str) -> Container:
        suffix = container_suffix(path)
        if suffix is None:
            raise UnreadableImage(path, "no container")
        packing = compression_of(suffix)
        if packing is None:
            return CONTAINERS[suffix](self._open_plain(path), path)
        info = self._place[0].info(self._full(path))
        size, changed = int(info["size"]), str(info.get("mtime") or info.get("LastModified"))
        plain = self.cache / "tars" / f"{fingerprint(self.root, path, size, changed)}.tar"
        if not plain.is_file():
            with self._open_plain(path) as stream:
                unpacked_tar(stream, packing, plain, path, size)
        return CONTAINERS[suffix](plain.open("rb"), path)


_local = threading.local()


def _containers() -> OrderedDict[tuple[str, str, str], Container]:
    if not hasattr(_local, "containers"):
        _local.containers = OrderedDict()
    return cast("OrderedDict[tuple[str, str, str], Container]", _local.containers)
