# SPDX-License-Identifier: Apache-2.0
"""Example predictions of the three tasks."""

import numpy as np
from PIL import Image

from rspipe.io.tables import write_json
from rspipe.report.examples import read_examples


def write(folder, *notes):
    write_json({"row": {}, "examples": list(notes)}, folder / "cell.json")
    return folder / "cell.json"


def test_classes_say_whether_they_are_right(tmp_path):
    cell = write(
        tmp_path,
        {"path": "a.png", "truth": "x", "predicted": "x"},
        {"path": "b.png", "truth": "x", "predicted": "y"},
    )
    examples, legend = read_examples(cell, {}, [], None)
    assert [example.is_right for example in examples] == [True, False]
    assert legend == ()


def test_boxes_lie_over_the_picture_of_their_size(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    box = {"label": "ship", "box": [1, 2, 3, 4]}
    cell = write(tmp_path, {"path": "a.png", "truth": [box], "found": [{**box, "score": 0.5}] * 9})
    (example,), _ = read_examples(cell, {}, [], tmp_path)
    assert example.picture is not None
    assert 'viewBox="0 0 60 40"' in example.overlay
    assert example.overlay.count('class="found"') == 1


def test_masks_have_a_legend(tmp_path):
    cell = write(tmp_path, {"path": "gone.png", "mask_path": "m.png"})
    mask = np.zeros((4, 4), np.uint8)
    arrays = {"truth_0": mask, "predicted_0": mask, "confusion": np.eye(2, dtype=int)}
    (example,), legend = read_examples(cell, arrays, ["sea", "land"], tmp_path)
    assert example.is_mask
    assert example.picture is None
    assert [swatch.name for swatch in legend] == ["sea", "land"]


def test_no_picture_is_read_outside_the_benchmark(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "bench").mkdir()
    cell = write(tmp_path, {"path": "../secret.png", "truth": "x", "predicted": "x"})
    (example,), _ = read_examples(cell, {}, [], tmp_path / "bench")
    assert example.picture is None


def test_a_cell_that_is_gone_has_no_examples(tmp_path):
    assert read_examples(tmp_path / "no.json", {}, [], None) == ((), ())


def test_oriented_boxes_are_drawn_by_their_corners(tmp_path):
    box = {"label": "ship", "box": [0, 0, 20, 20], "corners": [10, 0, 20, 10, 10, 20, 0, 10]}
    cell = write(tmp_path, {"path": "gone.png", "truth": [box], "found": [{**box, "score": 0.5}]})
    (example,), _ = read_examples(cell, {}, [], tmp_path)
    assert example.overlay.count('points="10,0 20,10 10,20 0,10"') == 2
    assert "<rect" not in example.overlay
    assert 'viewBox="0 0 20 20"' in example.overlay


def test_a_picture_shows_as_many_detections_as_there_are_objects_and_counts_the_right_ones(
    tmp_path,
):
    box = {"label": "ship", "box": [1, 2, 3, 4]}
    found = [{**box, "score": 0.9, "right": True}, {**box, "score": 0.8, "right": False}]
    hard = {**box, "difficult": True}
    note = {"path": "a.png", "rank": "worst", "score": 0.5, "n_objects": 2}
    cell = write(
        tmp_path,
        {
            **note,
            "truth": [box, box, hard],
            "found": [*found, {**box, "score": 0.1, "right": None}],
        },
    )
    (example,), _ = read_examples(cell, {}, [], None)
    assert (example.rank, example.score, example.counted) == ("worst", 0.5, (1, 2))
    assert example.overlay.count("found right") == example.overlay.count("found wrong") == 1
    assert example.overlay.count('class="truth"') == 3
