# SPDX-License-Identifier: Apache-2.0
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rspipe.curate.config import CropsConfig, SliceConfig
from rspipe.curate.windows import Cut, iou, lay_cuts, scale_to
from rspipe.schema import Box

SCALES = st.sampled_from([1.0, 0.9, 0.5, 1 / 3, 0.071, 2.0])


def boxes(height, width, config, scale=1.0, image_id="a"):
    return [cut.box for cut in lay_cuts(height, width, scale, image_id, config)]


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.integers(8, 128),
    st.integers(1, 128),
    st.integers(1, 300),
)
def test_tiles_lie_inside_and_leave_no_pixel_out(height, width, tile, stride, larger):
    stride = min(stride, tile)
    config = SliceConfig(tile_px=tile, stride_px=stride, larger_than_px=larger)
    found = boxes(height, width, config)
    assert len(set(found)) == len(found)
    for axis, length in (("y", height), ("x", width)):
        starts = sorted({getattr(b, f"{axis}0") for b in found})
        stops = sorted({getattr(b, f"{axis}1") for b in found})
        assert starts[0] == 0
        assert stops[-1] == length
        assert all(b - a <= tile for a, b in pairwise(starts))
    if max(height, width) > larger:
        assert all(b.height == min(tile, height) for b in found)
        assert all(b.width == min(tile, width) for b in found)
    else:
        assert found == [Box(y0=0, x0=0, y1=height, x1=width)]


def test_the_last_window_in_each_direction_ends_at_the_edge():
    config = SliceConfig(tile_px=64, stride_px=64, larger_than_px=64)
    assert [box.x0 for box in boxes(64, 150, config)] == [0, 64, 86]


@given(st.integers(1, 300), st.integers(1, 300), SCALES)
def test_resampled_tiles_have_the_size_asked_for_and_cover_the_image(height, width, scale):
    config = SliceConfig(tile_px=32, stride_px=32, larger_than_px=40)
    cuts = list(lay_cuts(height, width, scale, "a", config))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    covered = {
        (y, x)
        for cut in cuts
        for y in range(cut.box.y0, cut.box.y1)
        for x in range(cut.box.x0, cut.box.x1)
    }
    assert len(covered) == height * width
    if max(rows, columns) > 40:
        assert {(c.height, c.width) for c in cuts} == {(min(32, rows), min(32, columns))}
    else:
        assert cuts == [Cut(Box(y0=0, x0=0, y1=height, x1=width), rows, columns)]
    for cut in cuts:
        # A window holds the ground of its tile, and at most a pixel more at either edge.
        assert 0 <= cut.box.height - cut.height * height / rows < 2
        assert 0 <= cut.box.width - cut.width * width / columns < 2


CROPS = st.builds(
    CropsConfig,
    min_px=st.integers(8, 64),
    max_px=st.integers(128, 256),
    multiple_px=st.sampled_from([1, 8, 32]),
    sizes=st.sampled_from(["uniform", "log_uniform"]),
    per_megapixel=st.sampled_from([1.0, 20.0, 100.0]),
    max_crops=st.integers(1, 20),
    max_iou=st.sampled_from([0.0, 0.3, 0.8]),
    seed=st.integers(0, 5),
)
SIDES = st.integers(1, 900)


@given(SIDES, SIDES, SCALES, CROPS)
def test_random_crops_keep_to_the_image_the_sizes_and_the_overlap(height, width, scale, crops):
    config = SliceConfig(larger_than_px=100, mode="random_crops", crops=crops)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    cuts = list(lay_cuts(height, width, scale, "a", config))
    if max(rows, columns) <= 100:
        assert [(c.height, c.width) for c in cuts] == [(rows, columns)]
        return
    assert 1 <= len(cuts) <= crops.max_crops
    for cut in cuts:
        assert cut.box.y0 >= 0
        assert cut.box.x0 >= 0
        assert cut.box.y1 <= height
        assert cut.box.x1 <= width
        side = max(cut.height, cut.width)
        assert side <= crops.max_px
        if min(rows, columns) >= crops.min_px + crops.multiple_px:
            assert cut.height == cut.width >= crops.min_px
            assert side % crops.multiple_px == 0
    assert all(iou(a.box, b.box) <= crops.max_iou for a, b in combinations(cuts, 2))


@given(SIDES, SIDES, CROPS, st.text(max_size=5))
def test_random_crops_are_a_function_of_id_and_seed(height, width, crops, image_id):
    config = SliceConfig(larger_than_px=50, mode="random_crops", crops=crops)
    once = list(lay_cuts(height, width, 1.0, image_id, config))
    assert once == list(lay_cuts(height, width, 1.0, image_id, config))


@pytest.mark.parametrize(
    ("height", "width", "count"), [(600, 600, 4), (1000, 1000, 10), (10, 600, 1)]
)
def test_the_number_of_crops_follows_the_area(height, width, count):
    crops = CropsConfig(min_px=8, max_px=64, multiple_px=8, per_megapixel=10.0, max_iou=0.99)
    assert len(boxes(height, width, SliceConfig(mode="random_crops", crops=crops))) == count


def test_another_seed_and_another_image_give_other_crops():
    def crops(image_id, seed):
        config = SliceConfig(mode="random_crops", crops=CropsConfig(seed=seed))
        return boxes(3000, 3000, config, image_id=image_id)

    assert len(crops("a", 0)) > 20
    assert len({str(crops(i, s)) for i in "ab" for s in (0, 1)}) == 4


def test_a_higher_limit_only_adds_crops():
    def crops(most):
        config = SliceConfig(mode="random_crops", crops=CropsConfig(max_crops=most))
        return set(boxes(4000, 4000, config))

    assert crops(5) < crops(20) < crops(60)


def test_the_crops_of_one_image_are_these_for_ever():
    """A corpus can be cut again from the same sources only while this stays true."""
    config = SliceConfig(mode="random_crops", crops=CropsConfig(max_crops=3))
    found = [(b.y0, b.x0, b.height, b.width) for b in boxes(2000, 3000, config)]
    assert found == [(1159, 1605, 160, 160), (1312, 240, 64, 64), (1371, 447, 192, 192)]


def test_log_uniform_sizes_spread_evenly_over_octaves_and_uniform_ones_over_pixels():
    def sides(sizes):
        crops = CropsConfig(sizes=sizes, max_crops=1, multiple_px=1)
        config = SliceConfig(mode="random_crops", crops=crops)
        return [boxes(5000, 5000, config, image_id=str(i))[0].height for i in range(3000)]

    octaves = [sum(64 * 2**k <= s < 128 * 2**k for s in sides("log_uniform")) for k in range(4)]
    assert all(abs(n - 750) < 110 for n in octaves)
    quarters = [sum(64 + 240 * k <= s < 304 + 240 * k for s in sides("uniform")) for k in range(4)]
    assert all(abs(n - 750) < 110 for n in quarters)


def test_whole_never_cuts_and_gives_no_tile_of_what_is_too_large():
    config = SliceConfig(mode="whole", larger_than_px=512)
    assert boxes(512, 100, config) == [Box(y0=0, x0=0, y1=512, x1=100)]
    assert boxes(513, 100, config) == []


def test_images_are_resampled_to_a_coarser_gsd_only_unless_told():
    config = SliceConfig(target_gsd_m=1.0)
    assert scale_to(0.25, config) == 0.25
    assert scale_to(0.95, config) == 1.0
    assert scale_to(4.0, config) == 1.0
    assert scale_to(None, config) == 1.0
    assert scale_to(4.0, SliceConfig(target_gsd_m=1.0, upsample=True)) == 4.0
