# SPDX-License-Identifier: Apache-2.0
"""The charts of the report, as inline SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rspipe.report.svg import Canvas, Scale, compact, number, spread

Floats = NDArray[np.float64]

_PALETTE = 8  # colours in the page's style: .c0 .. .c7
_MAX_POINTS = 400
_LEFT, _TOP, _BOTTOM, _RIGHT = 52, 14, 44, 14


@dataclass(frozen=True)
class Series:
    """A named curve."""

    name: str
    x: Floats
    y: Floats


def colour(index: int) -> str:
    """Class of the index-th colour of the page."""
    return f"c{index % _PALETTE}"


def line_chart(
    series: Sequence[Series],
    title: str,
    x_label: str,
    size: tuple[int, int] = (640, 400),
    from_zero: bool = False,
) -> Markup:
    """Draw curves: faint as measured, strong as a moving mean over a fortieth of the run."""
    drawn = [_finite(one) for one in series]
    drawn = [one for one in drawn if len(one.y)]
    if not drawn:
        return Markup("")
    x, y = _plane([one.x for one in drawn], [one.y for one in drawn], size, from_zero)
    canvas = _axes(x, y, size, title, x_label)
    for index, one in enumerate(drawn):
        raw = _thin(one)
        canvas.polyline(_points(raw, x, y), f"line raw {colour(index)}")
        canvas.polyline(_points(_smooth(raw), x, y), f"line {colour(index)}")
    return canvas.render()


def histogram(values: Floats, title: str, x_label: str, is_log: bool = False) -> Markup:
    """Draw how values are distributed, in about thirty bars."""
    values = values[np.isfinite(values) & ((values > 0) | (not is_log))]
    if not len(values):
        return Markup("")
    size = (400, 220)
    low, high = spread(values)
    bent = np.log10([low, high]) if is_log else np.array([low, high])
    edges = np.linspace(bent[0], bent[1], 31)
    counts, _ = np.histogram(np.log10(values) if is_log else values, edges)
    x = Scale(low, high, _LEFT, size[0] - _RIGHT, is_log)
    y = Scale(0, float(counts.max()), size[1] - _BOTTOM, _TOP)
    canvas = _axes(x, y, size, title, x_label)
    ends = 10**edges if is_log else edges
    for count, left, right in zip(counts.tolist(), ends[:-1], ends[1:], strict=True):
        if count:
            hint = f"{compact(left)} to {compact(right)}: {count:,}"
            width, height = max(x(right) - x(left) - 1, 1), max(y(0) - y(count), 1)
            canvas.rect((x(left) + 0.5, y(0) - height), (width, height), "column", hint)
    return canvas.render()


def world_map(footprints: Mapping[str, Floats]) -> Markup:
    """Draw footprints on plain longitude and latitude.

    Args:
        footprints: per source (N, 4): xmin, ymin, xmax, ymax in degrees (EPSG:4326).
    """
    left, top, right, bottom = 40, 6, 1000, 486
    canvas = Canvas(1006, 512, "Where the tiles lie on the globe")
    x, y = Scale(-180, 180, left, right), Scale(-90, 90, bottom, top)
    canvas.rect((left, top), (right - left, bottom - top), "sea")
    for degrees in range(-180, 181, 30):
        kind = "equator" if degrees == 0 else "grid"
        canvas.add("line", x1=x(degrees), x2=x(degrees), y1=top, y2=bottom, class_=kind)
        if degrees % 60 == 0:
            text = _degrees(degrees, "E", "W")
            canvas.add("text", text, x=x(degrees), y=bottom + 18, class_="tick middle")
    for degrees in range(-60, 61, 30):
        kind = "equator" if degrees == 0 else "grid"
        canvas.add("line", x1=left, x2=right, y1=y(degrees), y2=y(degrees), class_=kind)
        text = _degrees(degrees, "N", "S")
        canvas.add("text", text, x=left - 6, y=y(degrees) + 4, class_="tick end")
    for index, (name, boxes) in enumerate(footprints.items()):
        path = "".join(_marks(boxes, x, y))
        canvas.add("path", d=path, class_=f"foot {colour(index)}", hint=name)
    return canvas.render()


def interval(
    score: tuple[str, float, float, float], axis: tuple[float, float], look: str
) -> Markup:
    """Draw (name, value, low, high) as a dot with whiskers.

    Args:
        score: of one encoder.
        axis: its ends.
        look: the encoder's class in the page's style.
    """
    name, value, low, high = score
    canvas, x = _lane(f"{name} {value:.3f} [{low:.3f}, {high:.3f}]", axis)
    canvas.add("line", x1=x(low), x2=x(high), y1=10, y2=10, class_=f"whisker {look}")
    for end in (low, high):
        canvas.add("line", x1=x(end), x2=x(end), y1=7, y2=13, class_=f"whisker {look}")
    canvas.add("circle", cx=x(value), cy=10, r=4.5, class_=f"dot {look}")
    return canvas.render()


def mark(name: str, value: float, axis: tuple[float, float]) -> Markup:
    """Draw a value that is given without an interval, as an open diamond."""
    canvas, x = _lane(f"{name} {value:.4f}", axis)
    corners = ((x(value) + dx, 10 + dy) for dx, dy in ((-5, 0), (0, 5), (5, 0), (0, -5)))
    canvas.add("polygon", points=" ".join(f"{number(a)},{b}" for a, b in corners), class_="diamond")
    return canvas.render()


def _lane(title: str, axis: tuple[float, float]) -> tuple[Canvas, Scale]:
    x = Scale(*axis, 6, 214)
    canvas = Canvas(220, 20, title)
    for tick in x.ticks(4):
        canvas.add("line", x1=x(tick), x2=x(tick), y1=0, y2=20, class_="grid")
    return canvas, x


def interval_axis(axis: tuple[float, float]) -> Markup:
    """Draw the tick labels that stand above a column of `interval` drawings."""
    x = Scale(*axis, 6, 214)
    canvas = Canvas(220, 16, "axis")
    for tick in x.ticks(4):
        text = compact(tick)
        side = "start" if x(tick) < 12 else "end" if x(tick) > 208 else "middle"
        canvas.add("text", text, x=x(tick), y=12, class_=f"tick {side}")
    return canvas.render()


def heatmap(counts: NDArray[np.int64], names: Sequence[str]) -> Markup:
    """Draw a confusion matrix: rows the truth, columns the prediction, shades shares of rows."""
    k = len(counts)
    cell, left, top = max(14, min(44, 420 // k)), 118, 92
    side = cell * k
    canvas = Canvas(left + side + 6, top + side + 6, "Confusion matrix", may_grow=False)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for i, name in enumerate(names):
        centre = i * cell + cell / 2
        label = name if len(name) <= 15 else f"{name[:14]}…"
        canvas.add("text", label, name, x=left - 6, y=top + centre + 4, class_="tick end")
        turn = f"translate({left + centre + 4:.1f} {top - 6}) rotate(-50)"
        canvas.add("text", label, name, transform=turn, class_="tick start")
    for (i, j), share in np.ndenumerate(shares):
        hint = f"{names[i]} seen as {names[j]}: {counts[i, j]:,} ({share:.0%})"
        x, y = left + j * cell, top + i * cell
        shade = f"fill-opacity:{0.04 + 0.96 * share:.2f}"
        kind = "hit" if i == j else "miss"
        canvas.rect((x + 0.5, y + 0.5), (cell - 1, cell - 1), kind, hint, shade)
        if k <= 12 and share >= 0.005:
            look = "share strong" if share > 0.55 else "share"
            middle = {"x": x + cell / 2, "y": y + cell / 2 + 4}
            canvas.add("text", f"{100 * share:.0f}", None, class_=look, **middle)
    return canvas.render()


def boxes(
    size: tuple[float, float],
    truth: Sequence[Floats],
    found: Sequence[tuple[Floats, str, bool | None]],
) -> Markup:
    """Draw object boxes over a picture of (width, height) pixels.

    Args:
        size: of the picture.
        truth: boxes x0, y0, x1, y1, or four corners x, y in turn.
        found: likewise, with what is said of each and whether it is right, where that is known.
    """
    canvas = Canvas(*size, f"{len(truth)} true boxes, {len(found)} found")
    for box, name, is_right in found:
        kind = "found" if is_right is None else "found right" if is_right else "found wrong"
        _outline(canvas, box, kind, name)
    for box in truth:
        _outline(canvas, box, "truth", "truth")
    return canvas.render()


def _outline(canvas: Canvas, box: Floats, kind: str, hint: str) -> None:
    if len(box) == 4:
        x0, y0, x1, y1 = box.tolist()
        canvas.rect((x0, y0), (x1 - x0, y1 - y0), kind, hint)
        return
    points = " ".join(f"{number(x)},{number(y)}" for x, y in box.reshape(-1, 2).tolist())
    canvas.add("polygon", hint=hint, points=points, class_=kind)


def _axes(x: Scale, y: Scale, size: tuple[int, int], title: str, x_label: str) -> Canvas:
    canvas = Canvas(*size, title)
    for tick in y.ticks(max(2, size[1] // 70)):
        canvas.add("line", x1=x.start_px, x2=x.end_px, y1=y(tick), y2=y(tick), class_="grid")
        canvas.add("text", compact(tick), x=x.start_px - 7, y=y(tick) + 4, class_="tick end")
    base = y.start_px
    canvas.add("line", x1=x.start_px, x2=x.end_px, y1=base, y2=base, class_="axis")
    for tick in x.ticks(max(2, size[0] // 100)):
        canvas.add("text", compact(tick), x=x(tick), y=base + 17, class_="tick middle")
    middle = (x.start_px + x.end_px) / 2
    canvas.add("text", x_label, x=middle, y=size[1] - 5, class_="label middle")
    return canvas


def _plane(
    xs: Sequence[Floats], ys: Sequence[Floats], size: tuple[int, int], from_zero: bool
) -> tuple[Scale, Scale]:
    x_low, x_high = spread(np.concatenate(xs))
    low, high = spread(np.concatenate(ys))
    is_log = not from_zero and low > 0 and high / low > 20
    if from_zero:
        low = 0.0
    elif not is_log:
        low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    x = Scale(x_low, x_high, _LEFT, size[0] - _RIGHT)
    return x, Scale(low, high, size[1] - _BOTTOM, _TOP, is_log)


def _finite(one: Series) -> Series:
    fine = np.isfinite(one.x) & np.isfinite(one.y)
    return Series(one.name, one.x[fine], one.y[fine])


def _thin(one: Series) -> Series:
    """Average neighbouring points until few enough are left."""
    if len(one.y) <= _MAX_POINTS:
        return one
    parts = np.array_split(np.arange(len(one.y)), _MAX_POINTS)
    x, y = (np.array([v[part].mean() for part in parts]) for v in (one.x, one.y))
    return Series(one.name, x, y)


def _smooth(one: Series) -> Series:
    reach = len(one.y) // 80
    sums = np.cumsum(np.concatenate([[0.0], one.y]))
    places = np.arange(len(one.y))
    # The window shrinks towards the ends, so that it stays centred there too.
    reaches = np.minimum(reach, np.minimum(places, places[::-1]))
    starts, ends = places - reaches, places + reaches + 1
    return Series(one.name, one.x, (sums[ends] - sums[starts]) / (ends - starts))


def _points(one: Series, x: Scale, y: Scale) -> list[tuple[float, float]]:
    return [(x(a), y(b)) for a, b in zip(one.x.tolist(), one.y.tolist(), strict=True)]


def _marks(footprints: Floats, x: Scale, y: Scale) -> list[str]:
    """Draw footprints as rectangles of at least 3 px; those that fall together are drawn once."""
    start = np.array([x(0), y(0)])
    per_degree = np.array([x(1), y(1)]) - start
    boxes = _split_at_the_antimeridian(footprints)
    ends = np.stack([boxes[:, :2], boxes[:, 2:]]) * per_degree + start
    sizes = np.maximum(np.abs(ends[1] - ends[0]), 3)
    corners = ends.mean(axis=0) - sizes / 2
    whole = np.unique(np.column_stack([np.floor(corners), np.round(sizes)]).astype(int), axis=0)
    return [f"M{left} {top}h{w}v{h}h-{w}z" for left, top, w, h in whole.tolist()]


def _split_at_the_antimeridian(footprints: Floats) -> Floats:
    """Cut footprints with xmin > xmax in two: as in GeoJSON, those cross 180 degrees."""
    crosses = footprints[:, 0] > footprints[:, 2]
    east, west = footprints[crosses], footprints[crosses]
    east[:, 2], west[:, 0] = 180, -180
    return np.concatenate([footprints[~crosses], east, west])


def _degrees(value: int, positive: str, negative: str) -> str:
    side = positive if value > 0 else negative if value < 0 else ""
    return f"{abs(value)}°{side if abs(value) != 180 else ''}"
