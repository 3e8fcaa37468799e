# SPDX-License-Identifier: Apache-2.0
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from rspipe.catalog import catalog_card
from rspipe.errors import RspipeError
from rspipe.evaluate.segmentation.masks import MaskLegend
from rspipe.evaluate.segmentation.submission import write_submission


def test_pngs_lie_at_the_root_and_hold_class_indices(tmp_path):
    masks = {f"Test/Urban/images_png/{i}.png": np.full((4, 6), i, np.uint8) for i in range(3)}
    archive = tmp_path / "out" / "submission.zip"
    assert write_submission(masks.items(), archive) == 3
    with zipfile.ZipFile(archive) as pack:
        assert pack.namelist() == ["0.png", "1.png", "2.png"]
        picture = Image.open(io.BytesIO(pack.read("2.png")))
        assert picture.mode == "L"
        assert (np.asarray(picture) == 2).all()


def test_same_predictions_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_submission([("x/1.tif", np.eye(3, dtype=np.uint8))], tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_two_images_of_one_name_are_refused(tmp_path):
    mask = np.zeros((2, 2), np.uint8)
    with pytest.raises(RspipeError, match="second image"):
        write_submission([("Urban/1.png", mask), ("Rural/1.png", mask)], tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_loveda_s_indices_are_its_class_ids_less_one():
    card = catalog_card("loveda")
    legend = MaskLegend.from_card(card)
    assert [card.classes[name] - 1 for name in legend.classes] == list(range(7))
