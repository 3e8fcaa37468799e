# SPDX-License-Identifier: Apache-2.0
"""Curves of scores: by number of labels with intervals, and precision by recall."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rspipe.report.figures import colour
from rspipe.report.scores import Score
from rspipe.report.svg import Canvas, Scale, compact

_SIZE = (420, 260)
_LEFT, _TOP, _BOTTOM, _RIGHT = 44, 12, 42, 14
_CLASS_COLOURS = 7

Points = Sequence[tuple[float, Score]]
"""Size of the drawn part, and its score."""


def label_curves(curves: Mapping[str, Points], looks: Mapping[str, str], x_label: str) -> Markup:
    """Draw a score by number of labels, one line per encoder, whiskers the 95 % intervals.

    Args:
        curves: by encoder; sizes are positive and drawn on a logarithmic axis.
        looks: class of each encoder in the page's style.
        x_label: what the sizes are.
    """
    sizes = sorted({size for points in curves.values() for size, _ in points})
    scores = [score for points in curves.values() for _, score in points]
    if len(sizes) < 2:  # one size is the score in the table
        return Markup("")
    low, high = min(s.low for s in scores), max(s.high for s in scores)
    x = Scale(sizes[0], sizes[-1], _LEFT + 10, _SIZE[0] - _RIGHT, is_log=True)
    y = _heights(np.floor(10 * low) / 10, np.ceil(10 * high) / 10)
    canvas = _frame(y, f"Score by {x_label}", x_label)
    for size in sizes:
        canvas.add("text", compact(size), x=x(size), y=y.start_px + 16, class_="tick middle")
    for name, points in curves.items():
        _curve(canvas, name, sorted(points, key=lambda point: point[0]), looks[name], (x, y))
    return canvas.render()


def precision_curves(precision: NDArray[np.float64], names: Sequence[str]) -> Markup:
    """Draw precision by recall, one line per class, the mean strong.

    Args:
        precision: (classes, recalls) at recalls evenly spaced from 0 to 1; a class without an
            object is not a number.
        names: of the classes.
    """
    known = np.flatnonzero(~np.isnan(precision).any(axis=1))
    if not len(known) or not precision[known].any():  # nothing found is no curve
        return Markup("")
    x, y = Scale(0, 1, _LEFT, _SIZE[0] - _RIGHT), _heights(0, 1)
    canvas = _frame(y, "Precision by recall", "recall")
    for tick in x.ticks():
        canvas.add("text", compact(tick), x=x(tick), y=y.start_px + 16, class_="tick middle")
    recalls = np.linspace(0, 1, precision.shape[1]).tolist()
    lines = [(precision[k], f"line raw {_look(k)}", names[k]) for k in known.tolist()]
    for values, look, name in [*lines, (precision[known].mean(axis=0), "line c0", "mean")]:
        points = zip(recalls, values.tolist(), strict=True)
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        canvas.add("polyline", hint=name, points=path, class_=look)
    return canvas.render()


def precision_legend(
    precision: NDArray[np.float64], names: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Name and colour of the classes that have a curve; none where colours would come twice."""
    known = np.flatnonzero(~np.isnan(precision).any(axis=1)).tolist()
    if len(names) > _CLASS_COLOURS:
        return ()
    return (*((names[k], _look(k)) for k in known), ("mean", colour(0)))


def _look(index: int) -> str:
    """Class of a curve in the page's style; the first colour is the mean's."""
    return colour(1 + index % _CLASS_COLOURS)


def _curve(
    canvas: Canvas, name: str, points: Points, look: str, plane: tuple[Scale, Scale]
) -> None:
    x, y = plane
    canvas.polyline([(x(size), y(score.value)) for size, score in points], f"curve {look}")
    for size, score in points:
        at = x(size)
        canvas.add(
            "line", x1=at, x2=at, y1=y(score.low), y2=y(score.high), class_=f"whisker {look}"
        )
        canvas.add(
            "circle",
            hint=_hint(name, size, score),
            cx=at,
            cy=y(score.value),
            r=3.5,
            class_=f"dot {look}",
        )


def _hint(name: str, size: float, score: Score) -> str:
    spread = "" if score.seed_std is None else f" ± {score.seed_std:.3f} over {score.n_seeds} draws"
    return f"{name}, {compact(size)}: {score} [{score.low:.3f}, {score.high:.3f}]{spread}"


def _heights(low: float, high: float) -> Scale:
    return Scale(float(low), float(high), _SIZE[1] - _BOTTOM, _TOP)


def _frame(y: Scale, title: str, x_label: str) -> Canvas:
    canvas = Canvas(*_SIZE, title, may_grow=False)
    left, right = _LEFT, _SIZE[0] - _RIGHT
    for tick in y.ticks(4):
        canvas.add("line", x1=left, x2=right, y1=y(tick), y2=y(tick), class_="grid")
        canvas.add("text", compact(tick), x=left - 6, y=y(tick) + 4, class_="tick end")
    canvas.add("line", x1=left, x2=right, y1=y.start_px, y2=y.start_px, class_="axis")
    canvas.add("text", x_label, x=(left + right) / 2, y=_SIZE[1] - 6, class_="label middle")
    return canvas
