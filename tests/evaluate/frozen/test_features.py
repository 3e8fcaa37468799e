# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch

from rspipe.catalog import card_for
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.frozen.features import cut_tiles, extract, resize, token_grids
from tests.evaluate.native_sets import write_masks

CPU = torch.device("cpu")


def pictures(count, height, width):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_tiles_are_the_quarters_of_the_image():
    images = pictures(2, 8, 12)
    tiles = cut_tiles(images, 2)
    assert tiles.shape == (8, 4, 6, 3)
    assert (tiles[1] == images[0, :4, 6:]).all()
    assert (tiles[6] == images[1, 4:, :6]).all()


def test_each_quarter_of_a_grid_is_the_grid_of_its_tile(tiny_encoder):
    images = pictures(1, 64, 64)
    whole = token_grids(tiny_encoder, images, 2, CPU)
    lower_left = token_grids(tiny_encoder, images[:, 32:, :32], 1, CPU)
    torch.testing.assert_close(whole[:, :, 4:, :4], lower_left)
    assert whole.shape == (1, 48, 8, 8)


def test_resize_keeps_height_before_width():
    assert resize(pictures(1, 10, 20)[0], (6, 4)).shape == (6, 4, 3)


def test_unreadable_image_is_named_and_left_out_wherever_it_stood(tmp_path, tiny_encoder):
    folder = tmp_path / "roofs"
    write_masks(folder)
    (folder / "train" / "images" / "3.png").write_bytes(b"<html>not found</html>")
    benchmark = list_benchmark(folder, card_for(folder), What())
    found = extract(benchmark, {"a": tiny_encoder, "b": tiny_encoder}, What(), 5, CPU)
    assert list(found.unreadable) == ["train/images/3.png"]
    assert "HTML page" in found.unreadable["train/images/3.png"]
    kept = found.benchmark
    assert len(kept.records) == len(found.features["a"].grids) == 11
    assert {kept.records[i].split for i in kept.folds[0].train} == {"train"}
    assert len(kept.folds[0].train) == 5
    assert {kept.records[i].split for i in kept.folds[0].test} == {"test"}
