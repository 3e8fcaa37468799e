import numpy as np
import torch
from PIL import Image

from rspipe.objectives import Draws, build
from rspipe.train.pictures import write_picture
from tests.train.conftest import TINY, TINY_SELECTIVE


def test_picture_has_four_rows_and_a_column_per_image(tmp_path):
    objective = build(TINY_SELECTIVE, TINY, seed=0)
    images = torch.randn(5, 3, 32, 32)
    plan = objective.plan(images, 0.5, Draws(0, torch.arange(5)))
    made = objective.reconstruct(images, plan)
    write_picture(tmp_path / "p.png", images, made, objective.encoder)
    picture = np.asarray(Image.open(tmp_path / "p.png"))
    assert picture.shape == (4 * 100, 5 * 100, 3)
    # Marked patches are yellower than anything around them.
    marked = picture[300:396, :96].astype(int)
    yellow = (marked[..., :2].mean(2) - marked[..., 2]) > 50
    assert yellow.mean() > 0.15
