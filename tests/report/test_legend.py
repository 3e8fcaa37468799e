# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.report.legend import palette_of


def card(folder, classes):
    (folder / "dataset.yaml").write_text(f"name: x\ntask: segmentation\nclasses: {classes}\n")
    return folder


def test_classes_have_the_colours_of_their_masks(tmp_path):
    root = card(tmp_path, '{sea: "#000000", land: "#FF8000", none: "#FFFFFF"}')
    assert palette_of(["land", "sea"], root) == ((255, 128, 0), (0, 0, 0))


@pytest.mark.parametrize("classes", ["{sea: 0, land: 1}", "[sea, land]", '{sea: "#000000"}'])
def test_without_a_colour_for_each_class_all_are_the_pages_own(tmp_path, classes):
    names = ["sea", "land"]
    assert palette_of(names, card(tmp_path, classes)) == palette_of(names, None)
    assert len(set(palette_of(names, None))) == 2
