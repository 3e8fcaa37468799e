# SPDX-License-Identifier: Apache-2.0
"""The two verbs on planted copies, on containers, and on real sets whose copies are known."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from rspipe.cli import app
from rspipe.corpus.pairs import CLUSTERS_SCHEMA, PAIRS_SCHEMA
from rspipe.curate.audit.targets import open_target
from rspipe.curate.dedup.hashing import orient


def run(*args):
    result = CliRunner().invoke(app, [*(str(a) for a in args), "--workers", "1"])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def pairs_of(out):
    return pq.read_table(out / "pairs.parquet").to_pylist()


def same(out):
    """Names of the pairs that are the same picture, each pair in one order."""
    found = [p for p in pairs_of(out) if p["verdict"] == "duplicate"]
    names = [
        tuple(sorted((p["path_a"].rsplit("/", 1)[1], p["path_b"].rsplit("/", 1)[1]))) for p in found
    ]
    return dict(zip(names, found, strict=True))


def test_of_a_corpus_the_tiles_are_compared(tmp_path):
    for name in ("manifest.json", "data/a.png", "ledger/b.png", "pictures.png"):
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).touch()
    target = open_target(str(tmp_path / "corpus"), None, tmp_path / "cache")
    assert target.dataset.tree.paths == ("a.png",)


@pytest.fixture(scope="module")
def earth(demo_native):
    """Real chips of which no two are alike."""
    paths = sorted((demo_native / "demo_chips/gallery").glob("earth_*.jpg"))
    pictures = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
    chosen = [i for i, p in enumerate(pictures) if p.std() > 25][:40:2]
    return [paths[i] for i in chosen]


@pytest.fixture(scope="module")
def planted(earth, tmp_path_factory):
    """20 chips, and a benchmark with copies of five of them, each changed in its own way."""
    root = tmp_path_factory.mktemp("planted")
    target, benchmark = root / "target/train", root / "benchmark"
    target.mkdir(parents=True)
    benchmark.mkdir()
    for path in earth:
        shutil.copy(path, target)
    a, b, c, d, e = earth[:5]
    shutil.copy(a, benchmark / "bytes.jpg")
    Image.open(b).save(benchmark / "pixels.png")
    Image.open(c).save(benchmark / "jpeg.jpg", quality=60)
    turned = orient(np.asarray(Image.open(d).convert("RGB")), "rot90")
    Image.fromarray(np.ascontiguousarray(turned)).save(benchmark / "turned.jpg", quality=90)
    picture = Image.open(e)
    picture.resize((picture.width * 2, picture.height * 2)).save(benchmark / "larger.png")
    (benchmark / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    Image.effect_noise((64, 64), 60).convert("RGB").save(benchmark / "stranger.png")
    kinds = ("bytes", "pixels", "near", "near", "near")
    names = ("bytes.jpg", "pixels.png", "jpeg.jpg", "turned.jpg", "larger.png")
    expected = {
        tuple(sorted((path.name, name))): kind
        for path, name, kind in zip((a, b, c, d, e), names, kinds, strict=True)
    }
    return root, expected


def test_an_audit_finds_every_planted_copy_and_no_other(planted, tmp_path):
    root, expected = planted
    said = run("audit", root / "target", "--against", root / "benchmark", "--out", tmp_path)
    found = same(tmp_path)
    assert {names: pair["kind"] for names, pair in found.items()} == expected
    assert all(pair["path_a"].startswith(f"{root}/target/train/") for pair in found.values())
    assert all(pair["path_b"].startswith(f"{root}/benchmark/") for pair in found.values())
    turned = next(p for p in found.values() if p["path_b"].endswith("turned.jpg"))
    assert turned["orientation"] == "rot270"
    assert "5 of 20 pictures (25.0 %)" in said
    files = {
        r["path"]: r["drop_reason"] for r in pq.read_table(tmp_path / "files.parquet").to_pylist()
    }
    assert files[f"{root}/benchmark/broken.jpg"] == "unreadable"
    assert pq.read_schema(tmp_path / "pairs.parquet").names == PAIRS_SCHEMA.names
    clusters = pq.read_table(tmp_path / "clusters.parquet")
    assert clusters.schema.names == CLUSTERS_SCHEMA.names
    rows = clusters.to_pylist()
    assert {r["kept"] for r in rows if "/benchmark/" in r["path"]} == {True}
    assert all(r["duplicate_of"].startswith(f"{root}/benchmark/") for r in rows if not r["kept"])


def test_duplicates_keeps_one_of_every_cluster_and_names_it(planted, tmp_path):
    root, expected = planted
    run("duplicates", root / "target", root / "benchmark", "--out", tmp_path)
    assert set(same(tmp_path)) == set(expected)
    rows = pq.read_table(tmp_path / "clusters.parquet").to_pylist()
    kept = Counter(row["cluster_id"] for row in rows if row["kept"])
    assert set(kept.values()) == {1}
    assert set(kept) == {row["cluster_id"] for row in rows}
    survivors = {row["path"] for row in rows if row["kept"]}
    assert {row["duplicate_of"] for row in rows if not row["kept"]} == survivors
    page = (tmp_path / "gallery.html").read_text()
    assert page.count("data:image/jpeg") >= 10


def write_zip(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)


def write_tar(folder, path):
    with tarfile.open(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, file.name)
            info = tarfile.TarInfo(f"{file.stem}.cls")
            info.size = 1
            archive.addfile(info, io.BytesIO(b"1"))


def write_parquet(folder, path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": f.read_bytes(), "path": f.name} for f in sorted(folder.iterdir())]
    pq.write_table(pa.table({"image": pa.array(cells, kind)}), path)


@pytest.mark.parametrize(
    ("name", "write"), [("b.zip", write_zip), ("b.tar", write_tar), ("b.parquet", write_parquet)]
)
def test_a_container_gives_the_pairs_that_its_folder_gives(planted, tmp_path, name, write):
    root, expected = planted
    write(root / "benchmark", tmp_path / name)
    run("audit", root / "target", "--against", tmp_path / name, "--out", tmp_path / "out")
    found = [p for p in pairs_of(tmp_path / "out") if p["verdict"] == "duplicate"]
    assert Counter(p["kind"] for p in found) == Counter(expected.values())
    assert all(p["path_b"].startswith(f"{tmp_path}/{name}/") for p in found)


def test_a_target_in_its_own_benchmark_is_no_copy_of_itself(planted, tmp_path):
    root, _ = planted
    run("audit", root / "target/train", "--against", root / "target", "--out", tmp_path)
    assert not same(tmp_path)


def test_what_is_not_there_is_named_with_the_next_move(planted, tmp_path):
    root, _ = planted
    command = [sys.executable, "-m", "rspipe.cli", "audit", f"{root}/target::tran", "--against"]
    command += [f"{root}/benchmark", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no split 'tran'; did you mean 'train'" in done.stderr
    assert "Traceback" not in done.stderr
    result = CliRunner().invoke(app, ["duplicates", "eurosat", "--out", str(tmp_path)])
    assert "rspipe catalog fetch eurosat" in str(result.exception)
    result = CliRunner().invoke(app, ["duplicates", f"{root}/targte", "--out", str(tmp_path)])
    assert "targte: no such folder or file; did you mean 'target'?" in str(result.exception)


def test_the_verbs_need_no_torch(tmp_path, earth):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from rspipe.cli import app\n"
        f"app(['duplicates', {str(earth[0])!r}, '--out', {str(tmp_path)!r}, '--workers', '1'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.real_data
def test_every_byte_copy_of_the_hurricane_splits_is_found(real_data, tmp_path):
    """The counts that the set's README states, by file bytes."""
    root = real_data / "hurricane_damage"
    against = [root / s for s in ("test_another", "train_another", "validation_another")]
    run("audit", root / "test", "--against", *against, "--out", tmp_path)
    known = Counter()
    for pair in pairs_of(tmp_path):
        if pair["kind"] == "bytes":
            known[pair["path_a"].split("/")[-2], pair["path_b"].split("/")[-3]] += 1
    assert known == {
        ("damage", "test_another"): 102,
        ("damage", "train_another"): 67,
        ("damage", "validation_another"): 13,
        ("no_damage", "train_another"): 85,
        ("no_damage", "validation_another"): 16,
        ("no_damage", "test_another"): 14,
    }
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["pairs"]["bytes"] == 297


@pytest.mark.real_data
def test_other_encodes_of_the_same_thermal_pictures_are_found(real_data, tmp_path):
    root = real_data / "hit_uav"
    run("audit", root / "normal_xml", "--against", root / "rotate_xml", "--out", tmp_path)
    same_name = [
        p
        for p in pairs_of(tmp_path)
        if p["path_a"].rsplit("/", 1)[1] == p["path_b"].rsplit("/", 1)[1]
    ]
    assert len(same_name) == 9
    assert all(p["verdict"] == "duplicate" and p["orientation"] == "identity" for p in same_name)


def test_two_processes_find_what_one_finds_and_a_second_run_does_nothing_again(planted, tmp_path):
    root, expected = planted
    args = ["audit", f"{root}/target", "--against", f"{root}/benchmark", "--out", str(tmp_path)]
    CliRunner().invoke(app, [*args, "--workers", "2"])
    assert set(same(tmp_path)) == set(expected)
    parts = {p: p.stat().st_mtime_ns for p in (tmp_path / "stages").rglob("part-*.parquet")}
    run(*args)
    assert parts == {p: p.stat().st_mtime_ns for p in (tmp_path / "stages").rglob("part-*.parquet")}
