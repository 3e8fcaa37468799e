# SPDX-License-Identifier: Apache-2.0
"""Laws of unpacking: whole files, in the folder and nowhere else; what is left out is named."""

import io
import tarfile
import zipfile
from pathlib import Path
from random import Random

import pytest

from rspipe.errors import FetchError
from rspipe.io import unpack as module
from rspipe.io.unpack import unpack

FILES = {"a/x.png": b"one", "a/b/y.png": b"two" * 10_000, "z.txt": b""}


def write_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def write_tar(path, files=FILES, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


WRITERS = {
    "s.zip": write_zip,
    "s.tar": lambda p, f=FILES: write_tar(p, f, "w"),
    "s.tar.gz": write_tar,
    "s.tgz": write_tar,
    "s.tbz": lambda p, f=FILES: write_tar(p, f, "w:bz2"),
    "s.tar.xz": lambda p, f=FILES: write_tar(p, f, "w:xz"),
}

each_kind = pytest.mark.parametrize("name", WRITERS)


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


@pytest.fixture
def jail(tmp_path):
    """A folder to unpack into, with bystanders that must not change."""
    (tmp_path / "jail/in").mkdir(parents=True)
    (tmp_path / "jail/bystander").write_bytes(b"untouched")
    return tmp_path / "jail"


def outside(jail):
    return {p.name for p in jail.iterdir()} | {p.name for p in jail.parent.iterdir()}


@each_kind
def test_what_was_packed_comes_out(tmp_path, name):
    WRITERS[name](tmp_path / name)
    out = unpack(tmp_path / name, tmp_path / "in")
    assert tree(tmp_path / "in") == FILES
    assert (out.files, out.left_out) == (len(FILES), {})
    assert {p.name for p in tmp_path.iterdir()} == {name, "in"}


@each_kind
@pytest.mark.parametrize("evil", ["../evil", "a/../../evil", "/tmp/rspipe-evil", "C:\\evil", ".."])
def test_a_name_that_leaves_the_folder_is_left_out_and_named(jail, name, evil):
    WRITERS[name](jail.parent / name, FILES | {evil: b"evil"})
    before = outside(jail)
    out = unpack(jail.parent / name, jail / "in")
    assert tree(jail / "in") == FILES
    assert [reason.partition(":")[0] for reason in out.left_out.values()] == ["an unsafe name"]
    assert outside(jail) == before
    assert not Path("/tmp/rspipe-evil").exists()


def test_links_and_devices_of_a_tar_are_left_out_and_named(jail):
    with tarfile.open(jail / "s.tar", "w") as archive:
        for name, kind, link in (
            ("soft", tarfile.SYMTYPE, "/etc"),
            ("inner", tarfile.SYMTYPE, "good.png"),
            ("hard", tarfile.LNKTYPE, "../bystander"),
            ("null", tarfile.CHRTYPE, ""),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            archive.addfile(info)
        for name in ("soft/passwd", "good.png"):
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"data"))
    out = unpack(jail / "s.tar", jail / "in")
    assert tree(jail / "in") == {"soft/passwd": b"data", "good.png": b"data"}
    assert set(out.left_out) == {"soft", "inner", "hard", "null", "pipe"}
    assert not (jail / "in/soft").is_symlink()


def test_a_link_in_a_zip_is_left_out(jail):
    with zipfile.ZipFile(jail / "s.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("good.png", b"data")
    out = unpack(jail / "s.zip", jail / "in")
    assert tree(jail / "in") == {"good.png": b"data"}
    assert "link" in out.left_out


@each_kind
def test_a_link_that_was_in_the_folder_is_not_written_through(jail, name):
    (jail / "in/a").symlink_to(jail)
    (jail / "in/z.txt").symlink_to(jail / "bystander")
    WRITERS[name](jail.parent / name)
    out = unpack(jail.parent / name, jail / "in")
    assert (jail / "bystander").read_bytes() == b"untouched"
    assert not (jail / "x.png").exists()
    assert set(out.left_out) == set(FILES)


@each_kind
def test_a_bomb_is_refused(tmp_path, name):
    WRITERS[name](tmp_path / name, {"big.txt": bytes(3_000_000)})
    with pytest.raises(FetchError, match="archive bomb"):
        unpack(tmp_path / name, tmp_path / "in", most_bytes=1_000_000)
    assert tree(tmp_path / "in") == {}


def test_a_member_longer_than_it_says_is_refused(tmp_path):
    write_zip(tmp_path / "s.zip", {"big.txt": bytes(100_000)})
    data = bytearray((tmp_path / "s.zip").read_bytes())
    declared = (100_000).to_bytes(4, "little")
    while declared in data:
        at = data.index(declared)
        data[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "s.zip").write_bytes(data)
    with pytest.raises(FetchError, match="broken"):
        unpack(tmp_path / "s.zip", tmp_path / "in")
    assert tree(tmp_path / "in") == {}


@each_kind
def test_an_archive_cut_anywhere_is_an_error_that_names_it(tmp_path, name):
    # Also at the border of two members, where a tar looks whole.
    WRITERS[name](tmp_path / name, {f"{i}.bin": Random(i).randbytes(1536) for i in range(8)})
    whole = (tmp_path / name).read_bytes()
    data_ends = 8 * 2048 if name == "s.tar" else len(whole)
    for at in range(0, data_ends, 256):
        (tmp_path / name).write_bytes(whole[:at])
        with pytest.raises(FetchError, match=name):
            unpack(tmp_path / name, tmp_path / f"in{at}")
        assert all(len(data) == 1536 for data in tree(tmp_path / f"in{at}").values())


def test_a_tar_with_a_damaged_header_in_it_is_an_error(tmp_path):
    write_tar(tmp_path / "s.tar", {f"{i}.bin": Random(i).randbytes(1536) for i in range(8)}, "w")
    data = bytearray((tmp_path / "s.tar").read_bytes())
    data[3 * 2048 + 150] ^= 1
    (tmp_path / "s.tar").write_bytes(data)
    with pytest.raises(FetchError, match="damaged"):
        unpack(tmp_path / "s.tar", tmp_path / "in")


@each_kind
def test_interrupted_unpacking_goes_on_where_it_stopped(tmp_path, name, monkeypatch):
    files = {f"{i:04}.bin": Random(i).randbytes(50) for i in range(600)}
    WRITERS[name](tmp_path / name, files)
    written = []
    copy = module._copy

    def stop_at_400(member, out):
        if len(written) == 400:
            raise KeyboardInterrupt
        written.append(member.name)
        copy(member, out)

    monkeypatch.setattr(module, "_copy", stop_at_400)
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / name, tmp_path / "in")
    written.clear()
    assert unpack(tmp_path / name, tmp_path / "in").files == 600
    assert tree(tmp_path / "in") == files
    assert len(written) < 400  # 600 less those up to the last note
    assert {p.name for p in tmp_path.iterdir()} == {name, "in"}


@each_kind
def test_another_file_of_the_name_is_kept_and_an_equal_one_is_no_conflict(tmp_path, name):
    (tmp_path / "in/a").mkdir(parents=True)
    (tmp_path / "in/a/x.png").write_bytes(b"mine")
    (tmp_path / "in/z.txt").write_bytes(b"")
    WRITERS[name](tmp_path / name)
    out = unpack(tmp_path / name, tmp_path / "in")
    assert (tmp_path / "in/a/x.png").read_bytes() == b"mine"
    assert out.left_out == {"a/x.png": "another file of this name is there"}


def test_a_full_disk_is_said_before_a_member_is_written(tmp_path, monkeypatch):
    write_zip(tmp_path / "s.zip")
    usage = module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(FetchError, match="the disk has 1,000 free"):
        unpack(tmp_path / "s.zip", tmp_path / "in")
    assert tree(tmp_path / "in") == {}


def test_what_is_no_archive_is_refused_with_the_next_move(tmp_path):
    (tmp_path / "s.7z").write_bytes(b"7z")
    with pytest.raises(FetchError, match="by hand"):
        unpack(tmp_path / "s.7z", tmp_path / "in")
