# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.errors import RecipeError, UnreadableImage
from rspipe.evaluate.segmentation.masks import IGNORE, MaskLegend
from rspipe.io.images import encode_png
from rspipe.schema import DatasetCard


def legend(classes, **said):
    return MaskLegend.from_card(DatasetCard(name="x", classes=classes, **said))


def read(legend, pixels):
    return legend.read(encode_png(np.array(pixels, dtype=np.uint8)), "m.png")


def test_colours_become_indices_and_unnamed_or_ignored_ones_count_for_nothing():
    found = legend(
        {"Building": "#3C1098", "Unlabeled": "#9B9B9B", "Water": "#E2A929"},
        ignore_classes=("Unlabeled",),
    )
    assert found.classes == ("Building", "Water")
    row = [(0x3C, 0x10, 0x98), (0xE2, 0xA9, 0x29), (0x9B, 0x9B, 0x9B), (1, 2, 3)]
    assert read(found, [row]).tolist() == [[0, 1, IGNORE, IGNORE]]


def test_pixel_values_become_indices():
    found = legend({"nothing": 0, "land": 3, "sea": 7}, ignore_classes=("nothing",))
    assert read(found, [[0, 3, 7, 9]]).tolist() == [[IGNORE, 0, 1, IGNORE]]


def test_names_alone_mean_counting_from_zero():
    assert read(legend(("a", "b")), [[1, 0, 2]]).tolist() == [[1, 0, IGNORE]]


def test_grey_mask_has_grey_colours():
    assert read(legend({"a": "#000000", "b": "#FFFFFF"}), [[0, 255]]).tolist() == [[0, 1]]


def test_grey_stored_as_rgb_is_pixel_values_but_colours_are_refused():
    found = legend({"a": 0, "b": 5})
    assert read(found, [[(5, 5, 5), (0, 0, 0)]]).tolist() == [[1, 0]]
    with pytest.raises(UnreadableImage, match="colour mask"):
        read(found, [[(5, 0, 0)]])


@pytest.mark.parametrize("classes", [None, {"a": "#12", "b": "#000000"}, {"a": 300}])
def test_unusable_legend_is_a_recipe_error(classes):
    with pytest.raises(RecipeError):
        legend(classes)
