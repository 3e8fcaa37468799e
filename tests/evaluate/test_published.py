# SPDX-License-Identifier: Apache-2.0
import pytest
from pydantic import ValidationError

from rspipe.evaluate.published import Published, to_lines

FIGURE = {"benchmark": "b", "model": "m", "metric": "mIoU", "value": 0.5, "source": "paper"}


def test_a_line_per_figure_with_the_reason_why_it_does_not_compare():
    figures = (Published(**FIGURE), Published(**FIGURE, note="hidden test"))
    first, second = to_lines(figures).splitlines()
    assert first == "published: b  m  mIoU 0.5000  (paper)"
    assert second.endswith("; hidden test")
    assert to_lines(()) == ""


def test_percent_are_refused():
    with pytest.raises(ValidationError):
        Published(**{**FIGURE, "value": 53.9})
