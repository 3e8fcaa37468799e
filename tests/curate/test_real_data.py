# SPDX-License-Identifier: Apache-2.0
"""Curation of real data sets as they were downloaded, faults and all."""

import tarfile
from collections import Counter

import pytest

from rspipe.corpus.reader import Corpus
from rspipe.corpus.verify import verify
from rspipe.curate.config import CurateRecipe
from rspipe.curate.runner import curate
from rspipe.recipe import load_recipe

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def curated(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    recipe = folder / "curate.yaml"
    recipe.write_text(
        f"name: real\ndata: {real_data}\nout: {folder / 'corpus'}\nstages: {folder / 'stages'}\n"
        "what: {slice: {tile_px: 256, stride_px: 256, larger_than_px: 512}}\n"
        "how: {dashboard: false}\n"
    )
    return Corpus.open(curate(load_recipe(recipe, CurateRecipe)))


@pytest.fixture(scope="module")
def ledger(curated):
    return curated.ledger().to_pylist()


def test_it_runs_to_the_end_and_the_corpus_is_sound(curated):
    assert verify(curated.path) == len(curated) > 1500


def test_every_file_is_in_the_ledger_once_and_so_is_what_is_in_it(real_data, ledger):
    """Files, members of archives, and the three scenes that are stacked from files of one band."""
    rows = [row for row in ledger if row["level"] == "file"]
    found = Counter(
        row["source_path"]
        if row["dataset"] == "(loose)"
        else f"{row['dataset']}/{row['source_path']}"
        for row in rows
    )
    files = {p.relative_to(real_data).as_posix() for p in real_data.rglob("*") if p.is_file()}
    members = []
    for path in real_data.rglob("*.tar.gz"):
        with tarfile.open(path) as archive:
            names = [m.name.removeprefix("./") for m in archive if m.isfile()]
        members += [f"{path.relative_to(real_data).as_posix()}/{name}" for name in names]
    red = "_Sentinel-2_L2A_B04_(Raw).tiff"
    stacks = {path.replace("_B04_", "_B04B03B02_") for path in files if path.endswith(red)}
    assert len(stacks) == 3
    assert found == Counter([*files, *members, *stacks])


def test_the_nine_broken_files_are_dropped_by_name_and_reason(ledger):
    """The curators of this folder name nine files that must fail to read."""
    broken = {
        row["source_path"]: row["drop_reason"]
        for row in ledger
        if row["dataset"] == "odd_files" and row["drop_stage"]
    }
    for name in (
        "made/truncated_60pct.jpeg",
        "made/header_only.jpeg",
        "made/zero_bytes.jpg",
        "made/html_error_page.jpg",
        "real/corrupt.tif",
        "real/git_lfs_pointers/EuroSAT/AnnualCrop/AnnualCrop_1.jpg",
        "real/git_lfs_pointers/UCMerced_LandUse/Images/agricultural/agricultural00.tif",
        "real/git_lfs_pointers/UCMerced_LandUse/Images/airplane/airplane07.tif",
    ):
        assert broken[name] == "unreadable"
    # The ninth has four bands of no stated meaning, which is found before its pixels are read.
    assert broken["made/truncated_half.tif"] == "wrong_bands"


def test_the_published_copies_of_the_hurricane_test_split_are_leaks(ledger):
    """Curators counted 67 + 85 images of train_another that are byte copies of test images."""
    leaks = Counter(
        row["drop_detail"].split()[0]
        for row in ledger
        if row["dataset"] == "hurricane_damage" and row["drop_reason"] == "benchmark_leak"
    )
    assert leaks["bytes"] == 67 + 85


def test_no_benchmark_image_is_in_the_corpus(curated, ledger):
    held_out = {row["source_sha256"] for row in ledger if row["drop_reason"] == "benchmark_split"}
    packed = curated.table(["source_sha256", "dataset"]).to_pylist()
    assert not held_out & {row["source_sha256"] for row in packed}
    assert "eurosat_recut" not in {row["dataset"] for row in packed}


def test_thermal_images_and_elevation_are_no_visible_light(ledger):
    reasons = {(row["dataset"], row["source_path"]): row["drop_reason"] for row in ledger}
    assert reasons["geotiff", "dsm_float32_nodata.tif"] == "wrong_bands"
    assert {
        reason
        for (dataset, path), reason in reasons.items()
        if dataset == "hit_uav" and path.endswith(".jpg")
    } == {"wrong_bands"}
