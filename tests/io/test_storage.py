# SPDX-License-Identifier: Apache-2.0
"""Containers are folders: what lies in them reads as if it lay beside them."""

import io
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rspipe.errors import UnreadableImage
from rspipe.io.storage import Storage

FILES = {"a/x.png": b"one", "a/y.png": b"two" * 10_000, "z.txt": b""}


def write_zip(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)


def write_tar(path, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


WRITERS = {
    "s.zip": write_zip,
    "s.tar": write_tar,
    "s.tar.gz": lambda p: write_tar(p, "w:gz"),
    "s.tgz": lambda p: write_tar(p, "w:gz"),
    "s.tar.bz2": lambda p: write_tar(p, "w:bz2"),
    "s.tar.xz": lambda p: write_tar(p, "w:xz"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_members_of_an_archive_read_as_files_of_a_folder(tmp_path, name):
    (tmp_path / "d").mkdir()
    WRITERS[name](tmp_path / "d" / name)
    storage = Storage(str(tmp_path / "d"), tmp_path / "cache")
    entries = {entry.path: entry for entry in storage.scan()}
    assert set(entries) == {name, *(f"{name}/{member}" for member in FILES)}
    assert entries[name].members == len(FILES)
    for member, data in FILES.items():
        assert storage.read_bytes(f"{name}/{member}") == data
        with storage.local_file(f"{name}/{member}") as copy:
            assert copy.read_bytes() == data
        assert not copy.exists()
    assert [p.name for p in (tmp_path / "d").iterdir()] == [name]


def test_rows_of_a_parquet_file_are_pictures(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": bytes([i]) * 9, "path": None} for i in range(5)]
    table = pa.table({"image": pa.array(cells, kind), "label": list(range(5))})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=2)
    storage = Storage(str(tmp_path))
    paths = [entry.path for entry in storage.scan() if entry.members is None]
    assert paths == [f"p.parquet/{i:08d}/image" for i in range(5)]
    assert [storage.read_bytes(path) for path in paths] == [cell["bytes"] for cell in cells]


@pytest.mark.parametrize("name", WRITERS)
def test_a_truncated_archive_is_one_entry_with_its_fault_or_members_that_say_so(tmp_path, name):
    (tmp_path / "d").mkdir()
    path = tmp_path / "d" / name
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[:-40][: path.stat().st_size // 2])
    storage = Storage(str(tmp_path / "d"), tmp_path / "cache")
    entries = storage.scan()
    if entries[0].fault is None:
        with pytest.raises(UnreadableImage):
            for entry in entries[1:]:
                storage.read_bytes(entry.path)


def test_a_tar_that_was_cut_between_members_or_damaged_says_that_members_may_be_missing(tmp_path):
    write_tar(tmp_path / "s.tar")
    whole = bytearray((tmp_path / "s.tar").read_bytes())
    (tmp_path / "cut.tar").write_bytes(whole[:1024])
    whole[1024 + 200] ^= 0xFF
    (tmp_path / "damaged.tar").write_bytes(whole)
    faults = {e.path: e.fault for e in Storage(str(tmp_path)).scan() if e.fault}
    assert set(faults) == {"cut.tar/(end)", "damaged.tar/(end)"}
    assert "end mark" in faults["cut.tar/(end)"]
    assert "byte 1,024" in faults["damaged.tar/(end)"]


def test_a_container_that_changes_is_opened_anew(tmp_path):
    write_zip(tmp_path / "s.zip")
    storage = Storage(str(tmp_path))
    assert storage.read_bytes("s.zip/a/x.png") == b"one"
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("a/x.png", b"another")
    assert storage.read_bytes("s.zip/a/x.png") == b"another"


def test_a_folder_named_like_an_archive_is_a_folder(tmp_path):
    (tmp_path / "s.zip").mkdir()
    (tmp_path / "s.zip/x.png").write_bytes(b"one")
    assert Storage(str(tmp_path)).read_bytes("s.zip/x.png") == b"one"


def test_what_is_no_readable_file_says_why(tmp_path):
    storage = Storage(str(tmp_path))
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UnreadableImage, match="a link to nowhere"):
        storage.read_bytes("dead")
    with pytest.raises(UnreadableImage, match="vanished"):
        storage.read_bytes("gone.png")
