# SPDX-License-Identifier: Apache-2.0
"""The one picture of a comparison: loss against compute, and accuracies over seeds."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rspipe.compare.table import Row, Table
from rspipe.report.svg import Canvas, Scale, compact, spread

Floats = NDArray[np.float64]

_COLOURS = ("#0f6e73", "#d08a3e", "#6f6bb0", "#b5536b", "#5d8c3f", "#3f7fc1", "#8a6d4e", "#7b8488")
# The picture is also a file of its own, so it carries its own style.
STYLE = "".join(
    [
        "text{font:12px system-ui,sans-serif;fill:#5c686c}",
        ".head{font-size:13px;font-weight:600}.end{text-anchor:end}.middle{text-anchor:middle}",
        ".grid{stroke:#8d979b;stroke-opacity:.25}.line{fill:none;stroke-width:1.8}",
        ".band{stroke-width:7;stroke-opacity:.25}.mean{stroke-width:3}",
        ".floor{stroke:#8d979b;stroke-width:1.5;stroke-dasharray:4 3}",
        *(f".s{i}{{stroke:{c}}}.f{i}{{fill:{c}}}" for i, c in enumerate(_COLOURS)),
    ]
)
_LOSS_WIDTH, _SCORE_WIDTH, _NAMES, _GAP = 430, 250, 150, 34
_TOP, _BOTTOM, _LEFT, _LEAST_ROW = 34, 46, 46, 26


def draw(table: Table) -> Markup:
    """Draw all panels; variants have one row and one colour in each.

    Dots are seeds, the bar their mean, the band its 95 % interval; dashed lines are floors.
    """
    names = list(table.recipe.variants)
    height = max(300, _TOP + _BOTTOM + _LEAST_ROW * len(names))
    panels = table.protocols
    width = _LEFT + _LOSS_WIDTH + _NAMES + len(panels) * (_SCORE_WIDTH + _GAP) + _GAP
    canvas = Canvas(width, height, f"{table.recipe.name}: loss and accuracy at equal compute")
    canvas.add("style", STYLE)
    base = float(height - _BOTTOM)
    _losses(canvas, table, names, base)
    rows = {name: _TOP + (base - _TOP) * (i + 0.5) / len(names) for i, name in enumerate(names)}
    start = float(_LEFT + _LOSS_WIDTH + _NAMES)
    for index, (name, y) in enumerate(rows.items()):
        canvas.add("text", name, x=start - 10, y=y + 4, class_=f"end f{index % len(_COLOURS)}")
    for number, protocol in enumerate(panels):
        left = start + number * (_SCORE_WIDTH + _GAP)
        _accuracies(canvas, table, protocol, rows, (left, base))
    return canvas.render()


def _losses(canvas: Canvas, table: Table, names: Sequence[str], base: float) -> None:
    curves = {name: mean_curve(table.of(name)) for name in names}
    drawn = {name: curve for name, curve in curves.items() if len(curve)}
    head = "Loss (each of its own target: compare shapes, not heights)"
    canvas.add("text", head, x=_LEFT, y=18, class_="head")
    if not drawn:
        return
    whole = np.concatenate(list(drawn.values()))
    low, high = spread(whole[:, 1])
    is_log = low > 0 and high / low > 4
    x = Scale(0.0, float(whole[:, 0].max()), _LEFT, _LEFT + _LOSS_WIDTH - _GAP)
    y = Scale(low, high, base, _TOP, is_log)
    for tick in y.ticks(6):
        canvas.add("line", x1=x.start_px, x2=x.end_px, y1=y(tick), y2=y(tick), class_="grid")
        canvas.add("text", compact(tick), x=x.start_px - 6, y=y(tick) + 4, class_="end")
    for tick in x.ticks(4):
        canvas.add("text", compact(tick / 1e12), x=x(tick), y=base + 18, class_="middle")
    middle = (x.start_px + x.end_px) / 2
    canvas.add("text", "training TMACs", x=middle, y=base + 36, class_="middle")
    for index, name in enumerate(names):
        if name in drawn:
            points = [(x(float(a)), y(float(b))) for a, b in drawn[name]]
            canvas.polyline(points, f"line s{index % len(_COLOURS)}")


def mean_curve(rows: Sequence[Row]) -> Floats:
    """Average the loss of some seeds of one variant; (n, 2): training MACs, loss.

    Seeds log at the same steps; where one has fewer lines, the curve ends there.
    """
    curves = [row.curve for row in rows if row.curve]
    if not curves:
        return np.empty((0, 2))
    length = min(len(curve) for curve in curves)
    stacked = np.array([curve[:length] for curve in curves])
    found: Floats = stacked.mean(axis=0)[:, [0, 2]]
    return found


def _accuracies(
    canvas: Canvas,
    table: Table,
    protocol: str,
    rows: dict[str, float],
    corner: tuple[float, float],
) -> None:
    """Draw one panel of dots; `corner` is its lower left one."""
    left, base = corner
    everything = [
        row.scores[protocol].value for row in [*table.rows, *table.floors] if protocol in row.scores
    ]
    low, high = spread(np.array(everything))
    room = 0.06 * (high - low)
    x = Scale(low - room, high + room, left, left + _SCORE_WIDTH)
    canvas.add("text", f"{protocol}, {table.recipe.judge.benchmark}", x=left, y=18, class_="head")
    for tick in x.ticks(4):
        canvas.add("line", x1=x(tick), x2=x(tick), y1=_TOP, y2=base, class_="grid")
        canvas.add("text", compact(tick), x=x(tick), y=base + 18, class_="middle")
    for name in table.floor_names:
        floor = table.estimate(name, protocol)
        if floor is not None:
            at = x(floor.mean)
            hint = f"{name}: {floor.mean:.3f}"
            canvas.add("line", hint=hint, x1=at, x2=at, y1=_TOP, y2=base, class_="floor")
            canvas.add("text", name.replace("_", " "), x=at, y=base + 36, class_="middle")
    for index, (name, y) in enumerate(rows.items()):
        _dots(canvas, table, (name, protocol), (x, y), index % len(_COLOURS))


def _dots(
    canvas: Canvas, table: Table, what: tuple[str, str], where: tuple[Scale, float], colour: int
) -> None:
    (name, protocol), (x, y) = what, where
    estimate = table.estimate(name, protocol)
    if estimate is None:
        canvas.add("text", "diverged", x=x.start_px + 4, y=y + 4, class_=f"f{colour}")
        return
    if estimate.ci_low is not None and estimate.ci_high is not None:
        ends = [min(max(x(v), x.start_px), x.end_px) for v in (estimate.ci_low, estimate.ci_high)]
        hint = f"95 % interval over seeds: {estimate.ci_low:.3f} to {estimate.ci_high:.3f}"
        canvas.add("line", hint=hint, x1=ends[0], x2=ends[1], y1=y, y2=y, class_=f"band s{colour}")
    at = x(estimate.mean)
    canvas.add("line", x1=at, x2=at, y1=y - 8, y2=y + 8, class_=f"mean s{colour}")
    for row in table.of(name):
        if protocol in row.scores:
            value = row.scores[protocol].value
            hint = f"seed {row.seed}: {value:.3f}"
            canvas.add("circle", hint=hint, cx=x(value), cy=y, r=3.5, class_=f"f{colour}")
