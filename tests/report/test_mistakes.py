"""Images that every seed gets wrong."""

import numpy as np

from rspipe.report.mistakes import mistakes_of


def test_only_images_that_every_seed_gets_wrong_are_mistakes():
    arrays = {
        "truth": np.array([0, 0, 1, 1]),
        "predicted": np.array([[0, 1, 0, 0], [0, 1, 1, 0]]),
        "paths": np.array(["right.png", "wrong.png", "once.png", "also.png"]),
    }
    found = [(one.path, one.truth, one.found) for one in mistakes_of(arrays, ["x", "y"], None)]
    assert found == [("wrong.png", "x", "y"), ("also.png", "y", "x")]


def test_cells_of_masks_and_older_cells_show_no_mistakes():
    assert mistakes_of({"confusion": np.eye(2)}, ["x", "y"], None) == ()
    perfect = {"truth": np.array([0]), "predicted": np.array([[0]]), "paths": np.array(["a"])}
    assert mistakes_of(perfect, ["x"], None) == ()
