import math

import pytest
import torch

from rspipe.models.positions import sincos_positions


def test_positions_follow_the_formula():
    table = sincos_positions(8, (2, 3))[0]
    assert table.shape == (7, 8)
    assert (table[0] == 0).all()  # class token
    row, column = 1, 2
    want = [math.sin(column), math.sin(column / 100), math.cos(column), math.cos(column / 100)]
    want += [math.sin(row), math.sin(row / 100), math.cos(row), math.cos(row / 100)]
    torch.testing.assert_close(table[1 + row * 3 + column], torch.tensor(want))


def test_width_must_be_a_multiple_of_four():
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_positions(10, (2, 2))
