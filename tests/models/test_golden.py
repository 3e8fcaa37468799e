# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.errors import WeightsError
from rspipe.models.golden import check_golden, made_image, summarise

NOTED = {"class_token": [1.0, -2.0], "patch_mean": [0.5], "patch_std": [0.1]}


def test_made_image_follows_its_formula_and_differs_from_band_to_band():
    image = made_image((9, 40), bands=2)[0].numpy()
    y, x, c = 8, 33, 1
    assert image.shape == (2, 9, 40)
    assert image[c, y, x] == (7 * y + 13 * x + 29 * c + (x * y) % 31) % 256
    assert (image[0] != image[1]).all()
    assert np.unique(image).size > 100


def test_summary_holds_class_token_and_spread_of_the_patches():
    tokens = torch.arange(24.0).reshape(1, 4, 6)
    found = summarise(tokens)
    assert found["class_token"] == tokens[0, 0].tolist()
    assert found["patch_mean"] == tokens[0, 2].tolist()
    assert found["patch_std"] == [6.0] * 6


def test_rounding_passes_and_anything_more_is_refused():
    rounded = {name: [v + 5e-5 for v in values] for name, values in NOTED.items()}
    check_golden(rounded, NOTED, "file")
    for name, values in NOTED.items():
        other = NOTED | {name: [v + 1e-3 for v in values]}
        with pytest.raises(WeightsError, match=f"file: {name} .* differ by 1.0e-03"):
            check_golden(other, NOTED, "file")


@pytest.mark.parametrize(
    "noted", [{}, NOTED | {"patch_mean": []}, NOTED | {"class_token": [1.0, float("nan")]}]
)
def test_features_that_are_not_noted_or_no_numbers_are_refused(noted):
    with pytest.raises(WeightsError, match=r"class_token|patch_mean"):
        check_golden(NOTED, noted, "file")
