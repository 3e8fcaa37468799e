# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.catalog import card_for
from rspipe.errors import UnreadableImage
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.segmentation import pixels
from rspipe.evaluate.segmentation.masks import IGNORE
from rspipe.evaluate.segmentation.pixels import LabelledPixels, Pair, shrink
from tests.evaluate.native_sets import write_masks, write_spacenet1


@pytest.fixture
def roofs(tmp_path):
    write_masks(tmp_path / "roofs")
    return tmp_path / "roofs"


def labelled(folder, longest_px=None):
    return LabelledPixels(list_benchmark(folder, card_for(folder), What()), longest_px)


def test_images_are_scaled_and_masks_are_as_published(roofs):
    pair = labelled(roofs, longest_px=16).read(0)
    assert pair.image.shape == (16, 16, 3)
    assert pair.mask.shape == (32, 32)
    assert set(np.unique(pair.mask)) == {0, 1, IGNORE}
    assert pair.for_training().mask.shape == (16, 16)
    source = labelled(roofs, longest_px=16)
    assert source.size_px(source.benchmark.records[0].source_path) == (32, 32)


def test_shrinking_invents_no_class():
    mask = np.array([[0, 7], [7, 0]], dtype=np.uint8).repeat(5, 0).repeat(3, 1)
    assert set(np.unique(shrink(mask, 4, 4))) == {0, 7}
    assert shrink(mask, *mask.shape) is mask


def test_what_cannot_be_read_is_noted_once_with_the_file_at_fault(roofs):
    (roofs / "train" / "masks" / "1.png").write_bytes(b"torn")
    (roofs / "train" / "images" / "3.png").unlink()
    (roofs / "train" / "images" / "3.png").mkdir()
    source = labelled(roofs)
    everything = np.arange(len(source.benchmark.records))
    paths = [source.benchmark.records[i].source_path for i in source.readable(everything)]
    assert "train/images/1.png" not in paths
    assert "train/masks/1.png" in source.faults["train/images/1.png"]
    assert source.readable(everything) == source.readable(everything)


def test_kept_images_take_no_more_room_than_they_may(roofs, monkeypatch):
    one = 32 * 32 * 4
    monkeypatch.setattr(pixels, "CACHE_BYTES", 3 * one)
    source = labelled(roofs)
    first = [source.read(i) for i in range(6)]
    again = [source.read(i) for i in range(6)]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True] * 3 + [False] * 3
    assert all((a.image == b.image).all() for a, b in zip(first, again, strict=True))
    assert first[0].nbytes == one


def test_masks_are_drawn_where_a_set_has_outlines(tmp_path):
    write_spacenet1(tmp_path / "spacenet1")
    source = labelled(tmp_path / "spacenet1")
    for i in range(len(source.benchmark.records)):
        pair = source.read(i)
        assert ((pair.image[..., 0] > 100) == (pair.mask == 1)).all()
        assert pair.mask.sum() == 14 * 14


def test_outlines_that_cannot_be_read_are_the_image_s_fault(tmp_path):
    write_spacenet1(tmp_path / "spacenet1")
    torn = tmp_path / "spacenet1" / "train" / "geojson" / "Geo_AOI_1_RIO_img1.geojson"
    torn.write_bytes(b"")
    source = labelled(tmp_path / "spacenet1")
    with pytest.raises(UnreadableImage, match="not GeoJSON"):
        source.read(0)
    assert source.try_read(0) is None
    assert "Geo_AOI_1_RIO_img1" in source.faults["train/3band/3band_AOI_1_RIO_img1.tif"]


def test_pair_of_one_size_is_itself():
    pair = Pair(np.zeros((3, 4, 3), np.uint8), np.zeros((3, 4), np.uint8))
    assert pair.for_training().mask is pair.mask
