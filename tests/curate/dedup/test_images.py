# SPDX-License-Identifier: Apache-2.0
"""Whole images that were cut, against each other and against images that were not."""

import numpy as np
import pytest
from PIL import Image

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.hashing import orient
from rspipe.curate.dedup.images import find_same_images
from rspipe.curate.dedup.matching import find_hits
from rspipe.curate.dedup.verdict import judge
from tests.curate.dedup.tables import dicts, noisy_copy, tiles_of


def resized(grey, height, width):
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def scenes(demo_native):
    paths = sorted((demo_native / "demo_chips").glob("gallery/earth_*.jpg"))[::8]
    greys = [np.asarray(Image.open(path).convert("L")) for path in paths]
    return [resized(g, 192, 192) for g in greys if g.std() > 20][:6]


class World:
    """Images, cut into quarters or not, and their rows."""

    def __init__(self):
        self.greys, self.image, self.is_parent, self.windows = [], [], [], []
        self.names = []

    def add(self, name, grey, *, cut):
        number = len(set(self.image)) + 1
        height, width = grey.shape
        if cut:
            h, w = height // 2, width // 2
            for y in (0, h):
                for x in (0, w):
                    self._row(
                        f"{name}:{y > 0:d}{x > 0:d}", grey[y : y + h, x : x + w], number, False
                    )
                    self.windows[-1] = (y, x, h, w)
        self._row(name, grey, number, cut)
        return self

    def _row(self, name, grey, number, is_parent):
        self.names.append(name)
        self.greys.append(np.ascontiguousarray(grey))
        self.image.append(number)
        self.is_parent.append(is_parent)
        self.windows.append((0, 0, *grey.shape))

    def tiles(self, **changes):
        columns = {
            "image": np.array(self.image, np.uint64),
            "is_parent": np.array(self.is_parent),
            "windows": np.array(self.windows, np.int32),
            "size_px": np.array([g.shape for g in self.greys], np.int32),
            # Of each whole image, published once.
            "byte_key": np.where(self.is_parent, self.image, 0).astype(np.uint64),
        }
        return tiles_of(self.greys, **columns | changes)

    def fates(self, rank=None, config=None, **changes):
        """Name of the dropped row → name of the survivor, and whether its image went."""
        tiles = self.tiles(**changes)
        rank = np.arange(len(tiles)) if rank is None else rank
        verdict = judge(tiles, config or DedupConfig(), rank)
        return {
            self.names[p["copy"]]: (self.names[p["original"]], p["kind"], bool(whole))
            for p, whole in zip(dicts(verdict.dropped), verdict.with_image, strict=True)
        }


def test_a_resized_copy_of_a_cut_image_goes_with_all_its_tiles(scenes):
    world = World().add("a", scenes[0], cut=True).add("b", resized(scenes[0], 160, 160), cut=True)
    world.add("c", scenes[1], cut=True)
    assert world.fates() == dict.fromkeys(
        ("b", "b:00", "b:01", "b:10", "b:11"), ("a", "near", True)
    )


def test_a_turned_copy_that_was_not_cut_goes_too_and_so_does_a_cut_one_for_an_uncut_one(scenes):
    small = resized(orient(scenes[0], "rot90"), 96, 96)
    world = World().add("large", scenes[0], cut=True).add("small", small, cut=False)
    assert world.fates() == {"small": ("large", "near", True)}
    rank = np.arange(len(world.names))[::-1]
    assert set(world.fates(rank)) == {"large", "large:00", "large:01", "large:10", "large:11"}
    assert {survivor for survivor, *_ in world.fates(rank).values()} == {"small"}


def test_equal_whole_images_are_one_image_whatever_their_tiles(scenes):
    world = World().add("a", scenes[0], cut=True).add("b", scenes[0], cut=True)
    assert world.fates()["b:00"] == ("a", "pixels", True)
    flat = np.full((64, 64), 90, np.uint8)
    world = World().add("a", flat, cut=True).add("b", flat, cut=True)
    assert world.fates()["b"] == ("a", "pixels", True)


def test_equal_pictures_of_larger_images_are_near_not_equal(scenes):
    world = World().add("a", scenes[0], cut=True).add("b", scenes[0], cut=True)
    for i, whole in enumerate(world.is_parent):
        if whole:
            world.windows[i] = (0, 0, 1920, 1920)
    assert world.fates()["b"] == ("a", "near", True)
    hits = dicts(find_hits(world.tiles(), world.tiles(), DedupConfig()))
    kinds = {(h["copy"], h["original"]): h["kind"] for h in hits}
    assert kinds[4, 4] == "bytes"
    assert kinds[4, 9] == "near"
    assert kinds[0, 0] == "pixels"


def test_alike_is_not_enough_for_a_whole_image(scenes):
    """0.96 makes a near duplicate of a tile; a scene with thousands of tiles needs 0.99."""
    noisy = noisy_copy(scenes[0], 0.965, 0.985)
    world = World().add("a", scenes[0], cut=True).add("b", noisy, cut=True)
    tiles = world.tiles()
    config = DedupConfig(max_hamming_bits=16)
    pairs = dicts(find_same_images(tiles, config, np.arange(10), rejected=True))
    (pair,) = (p for p in pairs if (p["copy"], p["original"]) == (9, 4))
    assert 0.96 < pair["similarity"] < 0.99
    assert pair["rejected"]
    assert not any(whole for *_, whole in world.fates(config=config).values())
    lax = DedupConfig(max_hamming_bits=16, min_image_similarity=0.96)
    assert world.fates(config=lax)["b"] == ("a", "near", True)


def test_another_shape_is_another_image(scenes):
    """Thumbnails are squares: a squeezed image has the same one."""
    world = World().add("a", scenes[0], cut=True).add("b", resized(scenes[0], 192, 160), cut=True)
    assert not any(whole for *_, whole in world.fates().values())
    assert world.fates(config=DedupConfig(max_aspect_change=0.3))["b"][2]
    tall = resized(scenes[0], 192, 160)
    turned = World().add("a", tall, cut=True).add("b", orient(tall, "rot90"), cut=True)
    assert turned.fates()["b"] == ("a", "near", True)


def test_the_images_of_a_change_pair_both_stay(scenes):
    world = (
        World()
        .add("before", scenes[0], cut=True)
        .add("after", resized(scenes[0], 190, 190), cut=True)
    )
    partner = np.array([0] * 5 + [1] * 5, np.uint64)
    assert world.fates(partner=partner) == {}
    assert world.fates()["after"][2]


def test_an_image_of_which_no_tile_is_left_is_no_survivor(scenes):
    world = World().add("a", scenes[0], cut=True).add("b", resized(scenes[0], 160, 160), cut=True)
    tiles = world.tiles()
    of_a = [i for i, name in enumerate(world.names) if name.startswith("a:")]
    gone = np.isin(np.arange(len(tiles)), of_a)
    # The rows that take part are those that were read.
    rest = {
        name: getattr(tiles, name)[~gone]
        for name in ("image", "is_parent", "windows", "size_px", "partner")
    }
    left = tiles_of([g for g, out in zip(world.greys, gone, strict=True) if not out], **rest)
    assert dicts(find_same_images(left, DedupConfig(), np.arange(len(left)))) == []


def test_a_field_is_no_copy_of_the_field_beside_it(scenes):
    """Four equal quarters, but for some noise: as tiles of one image all stay."""
    fields = np.tile(scenes[0][:96, :96], (2, 2)) + np.random.default_rng(0).integers(
        0, 4, (192, 192)
    )
    world = World().add("field", fields.clip(0, 255).astype(np.uint8), cut=True)
    assert world.fates() == {}
    world.image = list(range(1, 6))
    assert {kind for _, kind, _ in world.fates().values()} == {"near"}


def test_windows_that_overlap_by_half_stay_and_those_that_overlap_by_more_go(scenes):
    world = World()
    for x in (0, 32, 64, 86):
        world._row(f"x{x}", scenes[0][:64, x : x + 64], 1, False)
        world.windows[-1] = (0, x, 64, 64)
    # 64 and 86 share 42 of 86 columns: below a half.
    assert world.fates() == {}
    world._row("x90", scenes[0][:64, 90:154], 1, False)
    world.windows[-1] = (0, 90, 64, 64)
    assert world.fates() == {"x90": ("x86", "crop", False)}
    assert world.fates(config=DedupConfig(min_lineage_iou=None)) == {}
    assert "x86" in world.fates(config=DedupConfig(min_lineage_iou=0.4))
