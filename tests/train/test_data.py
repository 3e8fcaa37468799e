# SPDX-License-Identifier: Apache-2.0
import io
import warnings

import numpy as np
import pyarrow.compute as pc
import pytest
import simplejpeg
import torch
from PIL import Image

from rspipe.errors import RunError, UnreadableImage
from rspipe.train.config import PretrainHow
from rspipe.train.data import Batches, threads_per_process
from tests.train.fakes import FakeCorpus, make_tile


@pytest.fixture
def what(make_recipe):
    return make_recipe().what


def how(threads=1, cache_bytes=10**9):
    return PretrainHow(loader_threads=threads, cache_bytes=cache_bytes)


def assert_equal(batch, other):
    for name in ("rows", "places", "images", "regions"):
        assert np.array_equal(getattr(batch, name), getattr(other, name)), name


@pytest.mark.filterwarnings("ignore:the shuffle mixes")
def test_batch_is_a_function_of_its_step_whatever_the_threads_and_the_cache(what):
    runs = []
    for settings in (how(1, 0), how(3, 5000), how(2)):
        batches = Batches(FakeCorpus, what, settings, with_regions=True)
        runs.append(list(batches.ahead(2, 7)))
        assert_equal(runs[-1][1], batches.make(3))
    for batch, *others in zip(*runs, strict=True):
        for other in others:
            assert_equal(batch, other)


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_make_the_batch_of_one(what, world):
    alone = Batches(FakeCorpus, what, how(), with_regions=True).make(5)
    shares = [
        Batches(FakeCorpus, what, how(), rank, world, with_regions=True).make(5)
        for rank in range(world)
    ]
    for name in ("rows", "places", "images", "regions"):
        together = np.concatenate([getattr(share, name) for share in shares])
        assert np.array_equal(together, getattr(alone, name))


def test_step_that_cannot_be_shared_is_an_error(what):
    with pytest.raises(RunError, match=r"images_per_step=8 cannot be shared by 3"):
        Batches(FakeCorpus, what, how(), rank=0, world=3)


def test_an_epoch_shows_every_tile_once(what):
    batches = Batches(lambda: FakeCorpus(rows=24), what, how(2))
    rows = np.concatenate([batch.rows for batch in batches.ahead(0, 6)])
    for epoch in (rows[:24], rows[24:]):
        assert sorted(epoch) == list(range(24))


def test_views_show_the_tile_of_their_row(what):
    still = what.model_copy(update={"augment": what.augment.model_copy(update=STILL)})
    batch = Batches(FakeCorpus, still, how()).make(0)
    for row, image in zip(batch.rows.tolist(), batch.images, strict=True):
        middle = make_tile(row)
        assert abs(image.mean() - middle.mean()) < 3


STILL = {"crop_scale": (1.0, 1.0), "flips": False, "quarter_turns": False}


def test_regions_are_those_of_the_views_and_minus_one_without_a_mask(what):
    batch = Batches(FakeCorpus, what, how(), with_regions=True).make(1)
    assert batch.regions.dtype == np.int32
    assert batch.regions.shape == batch.images.shape[:3]
    for row, image, regions in zip(batch.rows.tolist(), batch.images, batch.regions, strict=True):
        if row % 3 == 0:
            assert (regions == -1).all()
        else:  # FakeCorpus labels by grey: where the picture is smooth they agree
            near = np.abs(image[:, :, 0].astype(int) - (regions * 32 + 16)) <= 48
            assert near.mean() > 0.8
    assert Batches(FakeCorpus, what, how()).make(1).regions is None


def test_row_groups_are_read_once_while_their_rows_last(what):
    corpus = FakeCorpus(rows=400, group_rows=10)
    narrow = what.model_copy(update={"shuffle_window_blocks": 4})
    batches = Batches(lambda: corpus, narrow, how(2))
    for _ in batches.ahead(0, 50):
        assert len(batches._groups._kept) <= 16
    counts = np.bincount(corpus.groups_read, minlength=40)
    assert counts.min() == 1
    assert counts.sum() <= 40 + 4  # the first ones come again at the end of the epoch


def test_fixed_tiles_are_whole_and_the_same_all_through_a_run(what):
    batches = Batches(FakeCorpus, what, how(), with_regions=True)
    first = batches.fixed(4)
    next(batches.ahead(3, 4))
    assert_equal(first, batches.fixed(4))
    assert first.images.shape == (4, 32, 32, 3)
    square = [i for i, row in enumerate(first.rows) if make_tile(row).shape[:2] == (32, 32)]
    for index in square:
        assert np.array_equal(first.images[index], make_tile(first.rows[index]))
    assert len(batches.fixed(1000).rows) == 24


def test_names_of_tiles_are_found_by_row(what):
    assert Batches(FakeCorpus, what, how()).tile_ids([5, 3]) == ["id-5", "id-3"]


def test_multi_band_tiles_become_multi_band_views(what):
    class Ten(FakeCorpus):
        def encode(self, tile):
            buffer = io.BytesIO()
            np.save(buffer, np.tile(tile, 4)[..., :10])
            return buffer.getvalue()

    encoder = what.encoder.model_copy(update={"in_chans": 10})
    batch = Batches(Ten, what.model_copy(update={"encoder": encoder}), how()).make(0)
    assert batch.images.shape == (8, 32, 32, 10)
    assert np.abs(batch.images[..., :3].astype(int) - batch.images[..., 3:6]).max() <= 1


@pytest.mark.parametrize("bands", [1, 4])
def test_bands_of_the_encoder_decide(what, bands):
    encoder = what.encoder.model_copy(update={"in_chans": bands})
    batches = Batches(FakeCorpus, what.model_copy(update={"encoder": encoder}), how())
    if bands == 1:
        assert batches.make(0).images.shape == (8, 32, 32, 1)
    else:
        with pytest.raises(RunError, match=r"tile id-\d+ .* has 3 bands.*in_chans"):
            batches.make(0)


def test_jpegs_are_decoded_from_where_they_lie_and_not_by_pillow(what, monkeypatch):
    class Photos(FakeCorpus):
        def encode(self, tile):
            buffer = io.BytesIO()
            Image.fromarray(np.tile(tile, (4, 4, 1))).save(buffer, "JPEG")
            return buffer.getvalue()

        def group(self, index, columns):
            table = super().group(index, columns)
            for name in ("height", "width"):
                place = table.column_names.index(name)
                table = table.set_column(place, name, pc.multiply(table[name], 4))
            return table

    asked = []
    decode_jpeg = simplejpeg.decode_jpeg

    def noted(data, *args, **options):
        asked.append(options["min_factor"])
        return decode_jpeg(data, *args, **options)

    monkeypatch.setattr("simplejpeg.decode_jpeg", noted)
    monkeypatch.setattr("rspipe.train.decode.decode", None)
    Batches(Photos, what, how()).make(0)
    assert len(asked) == 8
    assert {1, 2} <= set(asked)


def test_error_in_a_thread_reaches_the_run(what):
    class Broken(FakeCorpus):
        def encode(self, tile):
            return b"\xff\xd8\xff no picture"

    with pytest.raises(UnreadableImage, match=r"tile id-\d+"):
        next(Batches(Broken, what, how(2)).ahead(0, 5))


def test_a_run_that_stops_early_leaves_no_thread_waiting(what):
    ahead = Batches(FakeCorpus, what, how(2)).ahead(0, 1000)
    next(ahead)
    ahead.close()
    with warnings.catch_warnings(), pytest.raises(StopIteration):
        next(ahead)


def test_pinned_memory_holds_the_same_batch(what, monkeypatch):
    plain = Batches(FakeCorpus, what, how(), with_regions=True).make(0)
    empty, asked = torch.empty, []

    def unpinned(*size, pin_memory, **options):
        asked.append(pin_memory)
        return empty(*size, **options)

    monkeypatch.setattr("rspipe.train.data.torch.empty", unpinned)
    pinned = Batches(FakeCorpus, what, how(), with_regions=True, pin=True).make(0)
    assert asked == [True, True]
    assert_equal(pinned, plain)


@pytest.mark.gpu
def test_batches_lie_in_page_locked_memory(what):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    batch = Batches(FakeCorpus, what, how(), with_regions=True, pin=True).make(0)
    assert torch.from_numpy(batch.images).is_pinned()
    assert torch.from_numpy(batch.regions).is_pinned()


def test_ranks_of_a_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    assert threads_per_process() == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert threads_per_process() == 2
