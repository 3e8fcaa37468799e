# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch
from PIL import Image

from rspipe.objectives import Draws, Plan, build
from rspipe.train.pictures import IGNORED, PREDICTED, SEED, VISIBLE, roles_of, write_picture
from tests.train.conftest import TINY, TINY_SELECTIVE


def test_picture_has_four_rows_and_a_column_per_image(tmp_path):
    objective = build(TINY_SELECTIVE, TINY, seed=0)
    images = torch.randn(5, 3, 32, 32)
    plan = objective.plan(images, 0.5, Draws(0, torch.arange(5)))
    made = objective.reconstruct(images, plan)
    roles = roles_of(plan, objective.views, objective.seeds, TINY.grid)
    write_picture(tmp_path / "p.png", images, made, roles, objective.encoder)
    picture = np.asarray(Image.open(tmp_path / "p.png"))
    assert picture.shape == (4 * 100, 5 * 100, 3)
    # Marked patches are yellower than anything around them.
    marked = picture[300:396, :96].astype(int)
    yellow = (marked[..., :2].mean(2) - marked[..., 2]) > 50
    assert yellow.mean() > 0.15


def test_roles_are_those_of_the_plan():
    objective = build(TINY_SELECTIVE, TINY, seed=0)
    images = torch.randn(3, 3, 32, 32)
    plan = objective.plan(images, 0.9, Draws(0, torch.arange(3)))
    roles = roles_of(plan, objective.views, objective.seeds, TINY.grid).reshape(3, -1)
    for row, keep, predict in zip(roles, plan.ids_keep, plan.ids_predict, strict=True):
        assert (row[keep[: objective.seeds]] == SEED).all()
        assert (row[keep[objective.seeds :]] == VISIBLE).all()
        assert (row[predict] == PREDICTED).all()
        assert (row == IGNORED).sum() == TINY.patches - len(keep) - len(predict)
    assert 0 < objective.seeds < plan.ids_keep.shape[1]


def test_picture_of_several_views_shows_the_first():
    plan = Plan(torch.tensor([[0], [1], [2], [3]]), torch.tensor([[1], [2], [3], [0]]))
    roles = roles_of(plan, views=2, seeds=0, grid=(2, 2))
    assert roles.tolist() == [
        [[VISIBLE, PREDICTED], [IGNORED, IGNORED]],
        [[IGNORED, IGNORED], [VISIBLE, PREDICTED]],
    ]
