# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.evaluate.base import EvalResult, Scores
from rspipe.evaluate.cells import CellStore
from rspipe.evaluate.paired import with_differences
from rspipe.evaluate.uncertainty import bootstrap


@pytest.fixture
def judged(tmp_path):
    """Make rows of one benchmark, with their cells, from what each encoder gets right."""
    store = CellStore(tmp_path)

    def make(*rights):
        rows = []
        for encoder, protocol, said in rights:
            right = np.asarray(said, float)
            found = bootstrap(lambda i, r=right: np.array([r[i].mean()]), len(right), 400, seed=3)
            row = EvalResult(
                benchmark="b",
                task="classification",
                status="done",
                protocol=protocol,
                encoder=encoder,
                metric="OA",
                value=float(found.values[0]),
                n_test=len(right),
                cell=f"{encoder}-{protocol}",
            )
            store.save(row, Scores(row.value, None, None, estimates=found))
            rows.append(row)
        return with_differences(rows, store), store

    return make


def test_the_difference_is_that_of_the_images_resampled_together(judged):
    rng = np.random.default_rng(0)
    first, second = rng.random(60) < 0.8, rng.random(60) < 0.6
    (row, _), _ = judged(("pretrained", "knn", first), ("random", "knn", second))
    change = first.astype(float) - second
    want = bootstrap(lambda images: np.array([change[images].mean()]), 60, 400, seed=3)
    assert row.extra["over"]["random"] == pytest.approx(
        {"value": want.values[0], "ci_low": want.low[0], "ci_high": want.high[0]}, abs=1e-12
    )


def test_a_small_but_steady_difference_is_told_apart_where_the_two_intervals_overlap(judged):
    hard = np.arange(200) % 2
    second = hard.copy()
    second[:16:2] = 1  # right wherever the first is, and on eight images more
    (worse, better), _ = judged(("random", "knn", hard), ("pretrained", "knn", second))
    assert better.value - worse.value == pytest.approx(0.04)
    assert better.extra["over"]["random"]["ci_low"] > 0


def test_references_are_baselines_of_the_protocol_and_floors_of_the_metric(judged):
    right = [1, 0, 1]
    rows, _ = judged(
        ("none", "majority", right),
        ("pretrained", "knn", right),
        ("random", "knn", right),
        ("image_statistics", "knn", right),
        ("random", "logistic", right),
    )
    over = {(row.encoder, row.protocol): list(row.extra["over"]) for row in rows}
    assert over["pretrained", "knn"] == ["random", "image_statistics", "majority"]
    assert over["random", "knn"] == ["image_statistics", "majority"]
    assert over["none", "majority"] == []


def test_a_cell_that_kept_no_draws_is_no_reference(judged, tmp_path):
    rows, store = judged(("pretrained", "knn", [1, 0]), ("random", "knn", [0, 0]))
    (tmp_path / "random-knn.npz").unlink()
    bare = [row.model_copy(update={"extra": {}}) for row in rows]
    assert with_differences(bare, store)[0].extra["over"] == {}
