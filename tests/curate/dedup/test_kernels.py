# SPDX-License-Identifier: Apache-2.0
import numba
import numpy as np
import pytest

from rspipe.curate.dedup import kernels

WORDS = np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64)


def test_popcount_counts_set_bits():
    @numba.njit
    def counts(words, out):
        for i in range(len(words)):
            out[i] = kernels.popcount(words[i])

    out = np.empty(len(WORDS), dtype=np.uint64)
    counts(WORDS, out)
    np.testing.assert_array_equal(out, np.bitwise_count(WORDS))


def test_eight_hashes_are_compared_at_any_place():
    @numba.njit
    def near(words, query, max_bits, out):
        for i in range(len(out)):
            out[i] = kernels.near_eight(words, i, query, max_bits)

    for max_bits in (0, 28, 32, 64):
        out = np.empty(len(WORDS) - 8, dtype=np.uint64)
        near(WORDS, WORDS[17], np.uint64(max_bits), out)
        is_near = np.bitwise_count(WORDS ^ WORDS[17]) <= max_bits
        want = [sum(1 << t for t in range(8) if is_near[i + t]) for i in range(len(out))]
        assert out.tolist() == want


def test_partition_keeps_every_hash_with_its_owner_and_their_order_within_a_part():
    rows = WORDS[:480].reshape(-1, 8)
    out = np.empty((60 * 7, 2), dtype=np.uint64)
    mask = np.uint64(0xFF00FF)
    starts = kernels.partition(rows, (1, 8), 100, mask, 3, out)
    assert starts[0] == 0 and starts[-1] == len(out)
    owners = out[:, 1].astype(np.int64)
    np.testing.assert_array_equal(rows[owners // 8 - 100, owners % 8], out[:, 0])
    assert len(np.unique(owners)) == len(owners)
    for part in range(8):
        inside = out[starts[part] : starts[part + 1]]
        assert (np.diff(inside[:, 1].astype(np.int64)) > 0).all()
        assert all(kernels.slot_of(word, mask, 3) == part for word in inside[:, 0])


def look_up_all(words, max_bits, room, capacity):
    """Look words up in a single slot of themselves; [owner, id] of all found, and the steps."""
    masks = np.array([1 << 63], dtype=np.uint64)
    entries = np.empty((len(words), 2), dtype=np.uint64)
    parts = kernels.partition(words[:, None], (0, 1), 0, masks[0], 1, entries)
    starts = np.zeros((1 << 2) + 2, dtype=np.uint32)
    hashes = np.zeros(len(words) + kernels.PADDING, dtype=np.uint64)
    ids = np.empty(len(words), dtype=np.uint32)
    assert kernels.fill_slots(entries, masks[0], 2, starts, hashes, ids) == len(words)
    index, key = (starts[:-1], (hashes, ids)), (masks, 0, 2)
    found, begin, steps = [], 0, 0
    while begin < len(words):
        begin, count, _ = kernels.look_up(
            entries, parts, begin, key, *index, max_bits, room[:capacity]
        )
        found += room[:count].tolist()
        steps += 1
    return sorted(found), steps


def test_a_look_up_stops_before_its_room_is_full_and_goes_on_where_it_stopped():
    crowd = np.full(50, WORDS[0]) ^ (np.uint64(1) << np.arange(50, dtype=np.uint64))
    room = np.full((200, 2), 2**64 - 1, dtype=np.uint64)
    found, steps = look_up_all(crowd, 2, room, capacity=148)
    assert steps > 10
    assert found == [[owner * 8, i] for owner in range(50) for i in range(50)]
    assert (room[148:] == 2**64 - 1).all()


def test_no_place_in_a_full_slot_is_overlooked():
    strangers = WORDS[:100] | np.uint64(1 << 63)
    room = np.empty((200, 2), dtype=np.uint64)
    assert look_up_all(strangers, 2, room, 200)[0] == [[i * 8, i] for i in range(100)]


def test_a_loop_that_cannot_be_cached_is_compiled_all_the_same():
    """As in an installation nobody may write to: numba finds no folder for a file that is none."""
    names = {}
    exec(compile("def double(x):\n    return 2 * x\n", "/nowhere/double.py", "exec"), names)
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(names["double"])
    assert kernels._compiled(names["double"])(21) == 42
