# SPDX-License-Identifier: Apache-2.0
"""Pairs of images and masks: never a wrong one, and no file left unnamed."""

import re

import pytest

from rspipe.errors import RecipeError
from rspipe.readers import READERS, FileTree, read_dataset
from rspipe.readers.tree import FileEntry, Storage
from rspipe.schema import DatasetCard
from tests.fakes import write_files

MASK_PAIRS = READERS["mask_pairs"]


@pytest.fixture
def read(tmp_path):
    def read(*names, **options):
        write_files(tmp_path, dict.fromkeys(names, b""))
        card = DatasetCard(name="x", layout="mask_pairs", options=options)
        return read_dataset(FileTree.scan(tmp_path), card)

    return read


def masks_of(listing):
    return {path: record.annotation.mask_path for path, record in listing.images.items()}


def test_a_mask_of_the_same_name_in_another_place_is_not_taken(read):
    listing = read("train/images/1.png", "val/masks/1.png", "val/images/2.png", "val/masks/2.png")
    assert masks_of(listing) == {"train/images/1.png": None, "val/images/2.png": "val/masks/2.png"}
    assert listing.sidecars["val/masks/1.png"] == "mask without an image"


def test_of_two_masks_for_one_image_none_is_taken_and_both_are_named(read):
    listing = read("images/1.jpg", "masks/1.png", "masks/1.tif", "images/2.jpg", "masks/2.png")
    assert masks_of(listing) == {"images/1.jpg": None, "images/2.jpg": "masks/2.png"}
    assert "this and masks/1.tif" in listing.faults["masks/1.png"]
    assert "this and masks/1.png" in listing.faults["masks/1.tif"]


def test_one_mask_may_serve_two_encodings_of_an_image(read):
    listing = read("images/1.jpg", "images/1.tif", "masks/1.png")
    assert masks_of(listing) == dict.fromkeys(["images/1.jpg", "images/1.tif"], "masks/1.png")


def test_an_image_of_no_rule_stays_out_of_the_listing_and_so_an_unannotated_image(read):
    listing = read("images/1.png", "masks/1.png", "quicklooks/1.png", images="images")
    assert "quicklooks/1.png" not in {*listing.images, *listing.sidecars, *listing.faults}


def test_a_misspelt_option_of_a_rule_names_the_nearest(read):
    with pytest.raises(RecipeError, match="did you mean 'mask_suffix'"):
        read("a.png", pairs=[{"masks_suffix": "_m"}])


def test_class_folders_are_not_taken_for_pairs(tmp_path):
    write_files(tmp_path, dict.fromkeys(["forest/a.jpg", "label/b.jpg", "mask/c.jpg"], b""))
    assert not MASK_PAIRS.recognises(FileTree.scan(tmp_path))


def test_one_name_in_thousands_of_folders_pairs_within_each(tmp_path):
    """Paired by search instead of by look-up, this would not end."""
    names = [f"{i:06d}/{kind}/a.png" for i in range(20_000) for kind in ("images", "masks")]
    files = tuple(FileEntry(name, 1, 1) for name in sorted(names))
    tree = FileTree(Storage(str(tmp_path)), files)
    pairs = masks_of(MASK_PAIRS.read(tree, DatasetCard(name="x")))
    assert len(pairs) == 20_000
    assert all(mask == image.replace("images", "masks") for image, mask in pairs.items())


@pytest.mark.real_data
def test_dubai_pairs_equal_those_of_a_glob(real_data):
    root = real_data / "dubai_seg"
    theirs = {
        path.relative_to(root).as_posix(): (path.parents[1] / "masks" / f"{path.stem}.png")
        .relative_to(root)
        .as_posix()
        for path in root.glob("*/Tile */images/*.jpg")
    }
    assert len(theirs) == 45
    listing = read_dataset(FileTree.scan(root), DatasetCard(name="x", layout="mask_pairs"))
    assert masks_of(listing) == theirs
    assert set(listing.sidecars) == set(theirs.values())


SYNTHETIC = {
    # Folder: (pattern of images, replacement that gives the mask, images, pairs, options).
    "loveda": (r"images_png/", "masks_png/", 6, 4, {}),
    "deepglobelandcover": (r"images/(\d+)_sat\.jpg", r"masks/\1_mask.png", 6, 6, {}),
    "gid15": (r"img_dir/(\w+/.*)\.tif", r"ann_dir/\1_15label.png", 6, 4, {}),
    "inria": (r"images/", "gt/", 14, 7, {}),
    "vaihingen": (r"^top/", "", 4, 4, {"images": "top", "masks": "."}),
    "potsdam": (
        r"4_Ortho_RGBIR/(.*)_RGBIR",
        r"\1_label",
        4,
        4,
        {"images": "4_Ortho_RGBIR", "image_suffix": "_RGBIR", "mask_suffix": "_label"},
    ),
    "landcoverai": (
        r"^images/|^output/(.*)\.jpg",
        lambda m: f"output/{m[1]}_m.png" if m[1] else "masks/",
        3,
        3,
        {},
    ),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", SYNTHETIC)
def test_published_layouts_pair_as_a_regular_expression_does(real_data, name):
    image, mask, n_images, n_pairs, options = SYNTHETIC[name]
    root = real_data / "layouts_synthetic" / name
    files = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    theirs = {path: re.sub(image, mask, path) for path in files if re.search(image, path)}
    theirs = {path: mask if mask in files else None for path, mask in theirs.items()}
    assert len(theirs) == n_images
    assert sum(m is not None for m in theirs.values()) == n_pairs
    card = DatasetCard(name="x", layout="mask_pairs", options=options)
    assert masks_of(read_dataset(FileTree.scan(root), card)) == theirs


@pytest.mark.real_data
def test_masks_of_ports_whose_image_is_missing_are_named(real_data):
    """sen2ships has the masks of Cartagena, but not the picture they were drawn on."""
    tree = FileTree.scan(real_data / "sen2ships")
    listing = read_dataset(
        tree, DatasetCard(name="x", layout="mask_pairs", options={"masks": "SegmentationClass"})
    )
    orphans = [path for path in tree.paths if "/SegmentationClass/" in path]
    assert len(orphans) == 1
    assert listing.sidecars[orphans[0]] == "mask without an image"
