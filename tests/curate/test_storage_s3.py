# SPDX-License-Identifier: Apache-2.0
"""Data, stages and corpora in object storage: the same bytes as on a disk.

The server is moto's, on this machine; s3fs talks to it as it would to any other.
"""

import hashlib
import json
import os
import signal
import time

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from rspipe.corpus.reader import Corpus
from rspipe.corpus.verify import verify
from rspipe.curate.config import CurateRecipe
from rspipe.curate.lock import locked
from rspipe.curate.runner import curate
from rspipe.errors import CorpusError, RecipeError, StageFailed
from rspipe.io.places import place
from rspipe.recipe import load_recipe
from tests.curation import digests


@pytest.fixture(scope="module")
def s3():
    """An S3 server with an empty bucket; the environment points every client to it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    said = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in said.items():
            patch.setenv(key, value)
        fs = fsspec.filesystem("s3", use_listings_cache=False)
        fs.mkdir("bucket")
        yield fs
    server.stop()


@pytest.fixture(scope="module")
def remote(s3, tiny, tiny_native, tmp_path_factory):
    """The recipe of `tiny`, with data, stages and corpus in the bucket; curated once."""
    s3.put(str(tiny_native), "bucket/native", recursive=True)
    tiny_yaml = tiny.folder / "curate.yaml"
    recipe = load_recipe(
        tiny_yaml,
        CurateRecipe,
        ["data=s3://bucket/native", "out=s3://bucket/corpora/t", "stages=s3://bucket/stages"],
    )
    curate(recipe)
    return recipe


def remote_digests(s3, folder):
    """SHA-256 of every object below data/ and ledger/."""
    return {
        name.removeprefix(f"{folder}/"): hashlib.sha256(s3.cat_file(name)).hexdigest()
        for part in ("data", "ledger")
        for name in sorted(s3.find(f"{folder}/{part}"))
    }


def test_a_corpus_in_object_storage_has_the_bytes_of_a_local_one(s3, remote, tiny):
    assert remote_digests(s3, "bucket/corpora/t") == digests(tiny)
    assert (
        json.loads(s3.cat_file("bucket/corpora/t/manifest.json"))["funnel"]
        == (Corpus.open(tiny.corpus).manifest["funnel"])
    )
    assert not s3.find("bucket/stages/pack-")


def test_nothing_is_left_beside_tables_and_corpus(s3, remote):
    names = s3.find("bucket/stages") + s3.find("bucket/corpora")
    assert names
    assert {name.rsplit(".", 1)[-1] for name in names} == {"parquet", "json", "md"}


def test_a_corpus_is_opened_by_its_address(s3, remote, tiny):
    corpus, local = Corpus.open("s3://bucket/corpora/t"), Corpus.open(tiny.corpus)
    assert len(corpus) == len(local) > 20
    rows = [0, len(local) - 1, 7]
    assert corpus.image_bytes(rows) == local.image_bytes(rows)
    assert corpus.ledger().equals(local.ledger())
    assert verify(place("s3://bucket/corpora/t")) == len(local)
    with pytest.raises(CorpusError, match="no finished corpus"):
        Corpus.open("s3://bucket/corpora/none")


def test_verify_notices_a_changed_object(s3, remote):
    s3.cp("bucket/corpora/t", "bucket/corpora/changed", recursive=True)
    (name,) = s3.find("bucket/corpora/changed/data")
    s3.pipe_file(name, s3.cat_file(name) + b"x")
    with pytest.raises(CorpusError, match="changed since"):
        verify(place("s3://bucket/corpora/changed"))


def test_a_second_run_finds_its_work_done(remote, capsys):
    curate(remote)
    assert "done before" in capsys.readouterr().out


def test_local_stages_may_feed_a_corpus_in_object_storage_and_the_other_way_round(
    s3, remote, tiny, tmp_path
):
    to_s3 = remote.model_copy(
        update={"stages": str(tmp_path / "stages"), "out": "s3://bucket/corpora/u"}
    )
    curate(to_s3)
    assert remote_digests(s3, "bucket/corpora/u") == digests(tiny)
    from_s3 = remote.model_copy(update={"out": str(tmp_path / "corpus")})
    curate(from_s3)
    local = {
        path.relative_to(tmp_path / "corpus").as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted((tmp_path / "corpus").rglob("*.parquet"))
        if path.name != "pictures.parquet"
    }
    assert local == digests(tiny)


def test_a_new_corpus_replaces_an_old_one_whole(s3, remote):
    s3.pipe_file("bucket/corpora/v/data/train-00000-of-00009.parquet", b"old")
    s3.pipe_file(
        "bucket/corpora/v/manifest.json", b'{"fingerprint": "old", "funnel": [{"dropped": {}}]}'
    )
    curate(remote.model_copy(update={"out": "s3://bucket/corpora/v"}))
    assert remote_digests(s3, "bucket/corpora/v") == remote_digests(s3, "bucket/corpora/t")


def test_a_killed_run_in_object_storage_ends_with_the_same_bytes(s3, remote, tiny, tmp_path):
    killed = type(tiny)(
        tmp_path / "c",
        "s3://bucket/native",
        workers=1,
        files_per_partition=4,
        out="s3://bucket/corpora/k",
        stages_at="s3://bucket/stages-k",
    )
    driver = killed.start()
    killed.wait_for(driver, lambda: any("/slice-" in name for name in s3.find("bucket/stages-k")))
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait(timeout=30)
    assert s3.exists("bucket/stages-k/.lock")
    killed.run()
    assert not s3.exists("bucket/stages-k/.lock")
    assert remote_digests(s3, "bucket/corpora/k") == digests(tiny)


def test_two_runs_do_not_share_stages_in_object_storage(s3, remote):
    with locked(place("s3://bucket/stages")), pytest.raises(StageFailed, match="another run"):
        curate(remote)
    dead = {"host": "elsewhere", "pid": 1, "alive": time.time() - 1000}
    s3.pipe_file("bucket/stages/.lock", json.dumps(dead).encode())
    with locked(place("s3://bucket/stages")):
        assert json.loads(s3.cat_file("bucket/stages/.lock"))["host"] != "elsewhere"


def test_an_address_without_data_is_a_named_error(s3, remote):
    with pytest.raises(RecipeError, match="no such folder"):
        curate(remote.model_copy(update={"data": "s3://bucket/nowhere"}))
