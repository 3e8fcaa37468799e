# SPDX-License-Identifier: Apache-2.0
"""Files belong together by key alone: never because their names resemble each other."""

import re

import pytest

from rspipe.errors import RecipeError
from rspipe.readers.parts import Member, Part, gather, part
from rspipe.schema import DatasetCard


def test_a_key_is_the_path_without_the_part_folder_and_the_name_without_its_suffix():
    images, masks = Part(["images"]), Part(["masks"], ["_label"])
    image = images.role_of("Train.zip/Rural/Images/7.png")
    mask = masks.role_of("Train.zip/Rural/masks/7_label.tif")
    assert image.key == mask.key
    assert images.role_of("Train.zip/Urban/images/7.png").key != mask.key
    assert masks.role_of("Train.zip/Rural/masks/7.tif") is None


def test_a_part_in_an_archive_of_its_own_meets_its_twin_in_another():
    assert (
        Part(["images"]).role_of("images.zip/images/a/7.png").key
        == Part(["masks"]).role_of("masks.tar.gz/a/7.png").key
    )


def test_the_deepest_folder_of_a_part_decides():
    labels = Part(["labels", "images"])
    assert labels.role_of("images/labels/x/7.png").rank == 0
    assert labels.role_of("labels/images/x/7.png").rank == 1


def test_folders_may_be_ends_of_paths():
    role = Part(["geojson/buildings"]).role_of("train/geojson/buildings/7.geojson")
    assert role.key == Part(["RGB"]).role_of("train/RGB/7.tif").key
    assert Part(["geojson/buildings"]).role_of("train/geojson/roads/7.geojson") is None


def test_the_longest_suffix_is_taken_off_and_the_order_is_the_preference():
    part = Part(suffixes=["", "_RGB", "_IR_RGB"])
    assert part.role_of("a_IR_RGB.tif").key == part.role_of("a.tif").key
    assert part.role_of("a_IR_RGB.tif").rank == 2


def test_groups_of_a_pattern_are_the_key():
    part = Part(patterns=[re.compile(r"(train|val)_labels/(\d+)_m")])
    assert part.role_of("x/train_labels/12_m.tif").key == ("train", "12")
    assert part.role_of("x/train/12_m.tif") is None


def test_the_preferred_of_a_key_comes_first_whatever_the_order_of_files():
    rgb = Part(suffixes=["_RGB", "_IRRG"])
    members = [Member(p, rgb.role_of(p)) for p in ("a_IRRG.tif", "a_RGB.tif", "b_IRRG.tif")]
    for order in (members, members[::-1]):
        assert [[m.path for m in group] for _, group in sorted(gather(order).items())] == [
            ["a_RGB.tif", "a_IRRG.tif"],
            ["b_IRRG.tif"],
        ]


def test_an_option_of_the_wrong_kind_is_an_error_of_the_card():
    with pytest.raises(RecipeError, match="masks is 7"):
        part(DatasetCard(name="x"), {"masks": 7}, "mask", "masks")
