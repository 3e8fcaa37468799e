# SPDX-License-Identifier: Apache-2.0
"""Laws of a transfer: the right bytes under the file's name, or an error and no such file."""

import hashlib
import random
import subprocess
import sys
import time

import pytest

from rspipe.errors import FetchError
from rspipe.io import transfer as module
from rspipe.io.transfer import Patience, transfer, web_address
from rspipe.schema import Download
from tests.io.file_server import Page, serving

DATA = random.Random(0).randbytes(3_000_000)
OTHER = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def server():
    with serving() as running:
        yield running


class Sleeps(list):
    """A patience that waits in no time, and the pauses it made."""

    def patience(self, attempts=4):
        return Patience(attempts=attempts, timeout_s=5, sleep=self.append)


@pytest.fixture
def sleeps():
    return Sleeps()


def leftovers(folder):
    return sorted(p.name for p in folder.iterdir())


def fetch(server, tmp_path, sleeps, path="f.bin", **said):
    download = Download(url=server.url(path), **said)
    return transfer(download, tmp_path / "f.bin", sleeps.patience())


def test_a_whole_file_gets_its_name_and_nothing_else_stays(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA)
    url, digests = fetch(server, tmp_path, sleeps, sha256=SHA256, md5=MD5)
    assert (tmp_path / "f.bin").read_bytes() == DATA
    assert (url, digests.sha256, digests.size_bytes) == (server.url("f.bin"), SHA256, len(DATA))
    assert leftovers(tmp_path) == ["f.bin"]
    assert not sleeps


def test_a_broken_connection_goes_on_where_it_stopped(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, break_after=[1_000_000, 500_000, 1, 7])
    fetch(server, tmp_path, sleeps, sha256=SHA256)
    assert (tmp_path / "f.bin").read_bytes() == DATA
    starts = [0, 1_000_000, 1_500_000, 1_500_001, 1_500_008]
    assert server.asked["f.bin"] == [None, *(f"bytes={n}-" for n in starts[1:])]


def test_a_server_that_ignores_ranges_is_asked_from_the_start(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, ranges=False, break_after=[1_000_000])
    fetch(server, tmp_path, sleeps, sha256=SHA256)
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_another_run_resumes_the_part_file(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, break_after=[2_000_000, 0, 0])
    with pytest.raises(FetchError, match="times without a new byte"):
        transfer(Download(url=server.url("f.bin")), tmp_path / "f.bin", sleeps.patience(attempts=2))
    assert leftovers(tmp_path) == ["f.bin.part", "f.bin.part.json"]
    fetch(server, tmp_path, sleeps)
    assert server.asked["f.bin"][-1] == "bytes=2000000-"
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_a_killed_fetch_goes_on_where_it_was_killed(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, pause_s=0.05)
    code = (
        "import sys; from pathlib import Path; from rspipe.io.transfer import *;"
        "from rspipe.schema import Download;"
        "transfer(Download(url=sys.argv[1]), Path(sys.argv[2]), Patience())"
    )
    words = [sys.executable, "-c", code, server.url("f.bin"), tmp_path / "f.bin"]
    part = tmp_path / "f.bin.part"
    with subprocess.Popen(words) as child:
        while not part.exists() or part.stat().st_size < 500_000:
            time.sleep(0.01)
        child.kill()
    server.pages["f.bin"].pause_s = 0
    fetch(server, tmp_path, sleeps, sha256=SHA256)
    assert (tmp_path / "f.bin").read_bytes() == DATA
    assert server.asked["f.bin"][1].startswith("bytes=")


def test_a_file_that_changed_meanwhile_is_not_joined_to_the_old_one(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(OTHER, break_after=[2_000_000, 0, 0, 0, 0])
    with pytest.raises(FetchError):
        fetch(server, tmp_path, sleeps)
    server.pages["f.bin"] = Page(DATA, etag='"v2"')
    fetch(server, tmp_path, sleeps)
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_without_a_version_mark_or_checksum_nothing_is_joined(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, etag=None, break_after=[2_000_000])
    fetch(server, tmp_path, sleeps)
    assert server.asked["f.bin"] == [None, None]
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_bytes_of_two_versions_are_fetched_again_as_one(server, tmp_path, sleeps):
    # No mark, but a checksum: joining is tried, found wrong, and done anew.
    page = server.pages["f.bin"] = Page(OTHER, etag=None, break_after=[2_000_000, 0, 0, 0, 0])
    with pytest.raises(FetchError):
        fetch(server, tmp_path, sleeps, sha256=SHA256)
    page.data, page.break_after = DATA, []
    fetch(server, tmp_path, sleeps, sha256=SHA256)
    assert (tmp_path / "f.bin").read_bytes() == DATA
    assert leftovers(tmp_path) == ["f.bin", "f.bin.bad"]


def test_a_part_that_is_not_the_one_asked_for_is_refused(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, lie_about_start=True, break_after=[1_000_000])
    fetch(server, tmp_path, sleeps)
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_wrong_bytes_are_kept_aside_and_never_get_the_name(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(OTHER)
    with pytest.raises(FetchError, match=f"published is {SHA256}") as error:
        fetch(server, tmp_path, sleeps, sha256=SHA256)
    assert "f.bin.bad" in str(error.value)
    assert leftovers(tmp_path) == ["f.bin.bad"]
    assert (tmp_path / "f.bin.bad").read_bytes() == OTHER
    assert len(server.asked["f.bin"]) == 1


def test_a_wrong_md5_is_noticed(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(OTHER)
    with pytest.raises(FetchError, match="its MD5 is"):
        fetch(server, tmp_path, sleeps, md5=MD5)


@pytest.mark.parametrize(
    "page",
    [
        None,
        Page(OTHER),
        Page(DATA, statuses=[403]),
        Page(b"<html>", kind="text/html; charset=utf-8"),
    ],
    ids=["404", "wrong bytes", "403", "login page"],
)
def test_the_next_mirror_serves_what_the_first_does_not(server, tmp_path, sleeps, page):
    if page is not None:
        server.pages["f.bin"] = page
    server.pages["m.bin"] = Page(DATA)
    url, _ = fetch(server, tmp_path, sleeps, mirrors=(server.url("m.bin"),), sha256=SHA256)
    assert url == server.url("m.bin")
    assert (tmp_path / "f.bin").read_bytes() == DATA


@pytest.mark.parametrize("checked", [True, False])
def test_a_mirror_goes_on_with_the_bytes_of_another_only_where_a_checksum_will_tell(
    server, tmp_path, sleeps, checked
):
    server.pages["f.bin"] = Page(DATA, break_after=[1_000_000, 0, 0, 0, 0, 0])
    server.pages["m.bin"] = Page(DATA, etag='"other"')
    said = {"sha256": SHA256} if checked else {}
    fetch(server, tmp_path, sleeps, mirrors=(server.url("m.bin"),), **said)
    assert server.asked["m.bin"] == ["bytes=1000000-" if checked else None]
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_a_mirror_that_moves_is_not_given_up_for_what_another_had_brought(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, break_after=[2_500_000, 0, 0, 0, 0])
    server.pages["m.bin"] = Page(DATA, etag='"other"', break_after=[100_000] * 12)
    fetch(server, tmp_path, sleeps, mirrors=(server.url("m.bin"),))
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_a_dead_mirror_does_not_cost_the_bytes_so_far(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, break_after=[2_000_000, 0, 0, 0, 0])
    dead = ("http://127.0.0.1:9/x", server.url("404"))
    with pytest.raises(FetchError):
        fetch(server, tmp_path, sleeps, mirrors=dead)
    assert (tmp_path / "f.bin.part").stat().st_size == 2_000_000
    fetch(server, tmp_path, sleeps)
    assert server.asked["f.bin"][-1] == "bytes=2000000-"
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_a_part_of_unknown_total_is_whole_only_at_its_own_length(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, break_after=[1_000_000, 1_000_000], says_total=False)
    fetch(server, tmp_path, sleeps)
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_a_server_that_names_a_pause_gets_it_within_reason(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, statuses=[429, 503], retry_after="30")
    fetch(server, tmp_path, sleeps)
    server.pages["f.bin"] = Page(DATA, statuses=[503], retry_after="9999999")
    (tmp_path / "f.bin").unlink()
    fetch(server, tmp_path, sleeps)
    assert sleeps == [30.0, 30.0, 900.0]


def test_every_pause_is_told(server, tmp_path, sleeps, capsys):
    server.pages["f.bin"] = Page(DATA, statuses=[503])
    fetch(server, tmp_path, sleeps)
    assert "HTTP 503" in capsys.readouterr().err


def test_a_busy_server_is_asked_again_later_and_later(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, statuses=[503, 503, 429])
    fetch(server, tmp_path, sleeps)
    assert (tmp_path / "f.bin").read_bytes() == DATA
    assert sleeps == [1.0, 2.0, 4.0]


def test_an_address_that_stays_busy_is_given_up_with_its_reason(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, statuses=[503] * 9)
    with pytest.raises(FetchError, match="HTTP 503"):
        fetch(server, tmp_path, sleeps)
    assert len(server.asked["f.bin"]) == 4
    assert leftovers(tmp_path) == []


def test_a_transfer_that_moves_outlasts_any_number_of_breaks(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, break_after=[100_000] * 25)
    fetch(server, tmp_path, sleeps, sha256=SHA256)
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_the_error_names_every_address_with_its_reason(server, tmp_path, sleeps):
    server.pages["m.bin"] = Page(b"<html>log in</html>", kind="text/html")
    with pytest.raises(FetchError) as error:
        fetch(server, tmp_path, sleeps, mirrors=(server.url("m.bin"), "http://127.0.0.1:9/x"))
    for words in ("f.bin: HTTP 404", "m.bin: a web page came", "127.0.0.1:9/x: the connection"):
        assert words in str(error.value)


def test_a_full_disk_is_said_before_a_byte_is_written(server, tmp_path, sleeps, monkeypatch):
    server.pages["f.bin"] = Page(DATA)
    usage = module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(FetchError, match="bytes are missing and the disk has 1,000,000 free"):
        fetch(server, tmp_path, sleeps)
    assert leftovers(tmp_path) == []


def test_two_processes_do_not_write_one_file(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA)
    with module._Partial.open(tmp_path / "f.bin"), pytest.raises(FetchError, match="another proc"):
        fetch(server, tmp_path, sleeps)


def test_a_whole_part_file_needs_no_byte_more(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA)
    (tmp_path / "f.bin.part").write_bytes(DATA)
    (tmp_path / "f.bin.part.json").write_text(
        f'{{"url": "{server.url("f.bin")}", "mark": "\\"v1\\"", "total": {len(DATA)}}}'
    )
    fetch(server, tmp_path, sleeps, sha256=SHA256)
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_a_file_without_a_length_is_read_to_its_end(server, tmp_path, sleeps):
    server.pages["f.bin"] = Page(DATA, length=False)
    fetch(server, tmp_path, sleeps, sha256=SHA256)
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_a_file_address_is_copied_and_a_missing_one_is_refused(tmp_path, sleeps):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.bin").write_bytes(DATA)
    address = (tmp_path / "src/a.bin").as_uri()
    transfer(Download(url=address, sha256=SHA256), tmp_path / "to/a.bin", sleeps.patience())
    assert (tmp_path / "to/a.bin").read_bytes() == DATA
    with pytest.raises(FetchError, match="no such file"):
        transfer(Download(url=address + "x"), tmp_path / "to/b.bin", sleeps.patience())


def test_other_schemes_are_refused_by_name():
    with pytest.raises(FetchError, match="ftp://"):
        web_address("ftp://host/file")
