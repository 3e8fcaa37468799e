# SPDX-License-Identifier: Apache-2.0
"""Laws of fetching a dataset: everything verified is there, the rest is asked for by name."""

import hashlib
import io
import zipfile

import pytest
import yaml
from pydantic import ValidationError

from rspipe.errors import FetchError
from rspipe.io.fetch import RECORD_NAME, FetchOptions, fetch
from rspipe.io.transfer import Patience
from rspipe.schema import DatasetCard, Download
from tests.io.file_server import Page, serving

OPTIONS = FetchOptions(patience=Patience(attempts=2, timeout_s=5, sleep=lambda _: None))
LIST = b"a.png\n"


def packed(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


TRAIN = packed({"train/a.png": b"a" * 1000, "train/b.png": b"b" * 1000})
TEST = packed({"test/c.png": b"c" * 1000})


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def server():
    with serving() as running:
        running.pages |= {"train.zip": Page(TRAIN), "test.zip": Page(TEST), "list.txt": Page(LIST)}
        yield running


def card(server, **changes):
    urls = {name: server.url(name) for name in ("train.zip", "test.zip", "list.txt")}
    downloads = {
        "train.zip": Download(url=urls["train.zip"], sha256=sha256(TRAIN), unpack=True),
        "test.zip": Download(url=urls["test.zip"], unpack=True, unpack_to="more"),
        "list.txt": Download(url=urls["list.txt"] + "?download=1", path="splits/list.txt"),
    }
    return DatasetCard(name="set", downloads=tuple((downloads | changes).values()))


def tree(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


CONTENT = {"train/a.png", "train/b.png", "more/test/c.png", "splits/list.txt", RECORD_NAME}


def test_a_dataset_is_fetched_unpacked_and_recorded(server, tmp_path):
    done = fetch(card(server), tmp_path / "set", OPTIONS)
    assert [d.state for d in done] == ["fetched"] * 3
    assert tree(tmp_path / "set") == CONTENT
    record = yaml.safe_load((tmp_path / "set" / RECORD_NAME).read_text())["files"]
    assert record["train.zip"]["sha256"] == sha256(TRAIN)
    assert record["train.zip"]["unpacked_files"] == 2
    assert record["splits/list.txt"]["url"].endswith("list.txt?download=1")


def test_a_second_run_asks_nothing_of_the_server(server, tmp_path):
    fetch(card(server), tmp_path / "set", OPTIONS)
    before = {path: len(asked) for path, asked in server.asked.items()}
    again = fetch(card(server), tmp_path / "set", OPTIONS)
    assert [d.state for d in again] == ["present"] * 3
    assert {path: len(asked) for path, asked in server.asked.items()} == before
    (tmp_path / "set/splits/list.txt").unlink()
    fetch(card(server), tmp_path / "set", OPTIONS)
    assert tree(tmp_path / "set") == CONTENT


def test_what_failed_is_all_that_the_next_run_fetches(server, tmp_path):
    server.pages["test.zip"].statuses = [404]
    with pytest.raises(FetchError, match="HTTP 404"):
        fetch(card(server), tmp_path / "set", OPTIONS)
    states = [d.state for d in fetch(card(server), tmp_path / "set", OPTIONS)]
    assert states == ["present", "fetched", "fetched"]
    assert len(server.asked["train.zip"]) == 1


def test_a_dry_run_touches_neither_server_nor_disk(server, tmp_path):
    options = FetchOptions(dry_run=True)
    states = [d.state for d in fetch(card(server), tmp_path / "set", options)]
    assert states == ["planned"] * 3
    assert not server.asked
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("options", [{"unpack": False}, {"keep_archives": True}])
def test_archives_stay_where_they_are_wanted_and_never_beside_their_content(
    server, tmp_path, options
):
    fetch(card(server), tmp_path / "set", FetchOptions(**options))
    names = tree(tmp_path / "set")
    assert ("train.zip" in names) == (not options.get("unpack", True))
    assert ("train.zip" in names) != ("train/a.png" in names)
    assert ("train.zip.unpacked" in names) == options.get("keep_archives", False)


def test_a_file_behind_a_login_is_asked_for_then_verified_and_unpacked(server, tmp_path):
    by_hand = Download(
        url="https://host/form", path="train.zip", manual=True, sha256=sha256(TRAIN), unpack=True
    )
    asked = fetch(card(server, **{"train.zip": by_hand}), tmp_path / "set", OPTIONS)[0]
    assert (asked.state, asked.is_there) == ("by hand", False)
    assert "https://host/form" in asked.detail
    assert str(tmp_path / "set/train.zip") in asked.detail
    (tmp_path / "set/train.zip").write_bytes(TRAIN)
    done = fetch(card(server, **{"train.zip": by_hand}), tmp_path / "set", OPTIONS)[0]
    assert done.state == "fetched"
    assert tree(tmp_path / "set") == CONTENT | {"train.zip.unpacked"}


def test_a_wrong_file_that_was_brought_by_hand_is_kept_aside(server, tmp_path):
    by_hand = Download(url="https://host/form", path="train.zip", manual=True, sha256=sha256(TRAIN))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train.zip").write_bytes(TEST)
    with pytest.raises(FetchError, match=r"kept as .*train.zip.bad"):
        fetch(card(server, **{"train.zip": by_hand}), tmp_path / "set", OPTIONS)
    assert (tmp_path / "set/train.zip.bad").read_bytes() == TEST


def test_a_card_without_addresses_sends_the_person_to_its_page(tmp_path):
    bare = DatasetCard(name="set", urls=("https://host/page",))
    (asked,) = fetch(bare, tmp_path / "set", OPTIONS)
    assert (asked.state, asked.is_there) == ("by hand", False)
    assert "https://host/page" in asked.detail
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.png").write_bytes(b"a")
    assert fetch(bare, tmp_path / "set", OPTIONS)[0].is_there


def test_members_that_were_left_out_are_named_and_their_archive_is_kept(server, tmp_path):
    server.pages["test.zip"] = Page(packed({"../evil": b"evil", "test/c.png": b"c"}))
    done = fetch(card(server), tmp_path / "set", OPTIONS)[1]
    assert list(done.left_out) == ["../evil"]
    assert tree(tmp_path) == {f"set/{name}" for name in CONTENT | {"test.zip.unpacked"}}
    assert fetch(card(server), tmp_path / "set", OPTIONS)[1].left_out == done.left_out


def test_a_disk_that_cannot_hold_the_set_is_refused_before_anything(server, tmp_path, monkeypatch):
    big = Download(url=server.url("train.zip"), size_bytes=10**15)
    with pytest.raises(FetchError, match="needs 1,000,000,000,000,000 bytes"):
        fetch(card(server, **{"train.zip": big}), tmp_path / "set", OPTIONS)
    assert not server.asked


@pytest.mark.parametrize("path", ["../x.zip", "/x.zip", "a/../../x.zip", "..", "a\\..\\b"])
@pytest.mark.parametrize("where", ["path", "unpack_to"])
def test_a_card_cannot_send_a_file_out_of_its_folder(path, where):
    with pytest.raises(ValidationError, match="no path below"):
        Download(url="https://host/x.zip", **{where: path})


def test_a_record_that_is_not_ours_is_an_error_with_the_next_move(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / RECORD_NAME).write_text("[1, 2")
    with pytest.raises(FetchError, match="remove it"):
        fetch(card(server), tmp_path / "set", OPTIONS)


def test_an_address_that_names_no_file_needs_a_path(tmp_path):
    bare = DatasetCard(name="set", downloads=(Download(url="https://host/folder/"),))
    with pytest.raises(FetchError, match="must say a `path`"):
        fetch(bare, tmp_path / "set", OPTIONS)
