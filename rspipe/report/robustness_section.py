# SPDX-License-Identifier: Apache-2.0
"""What corrupted test images cost: change of accuracy by severity, one small chart per kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rspipe.report.scores import Lines, Score, encoders_of, score_of
from rspipe.report.svg import Canvas, Scale, compact

_KINDS = {
    "jpeg": ("JPEG", "quality"),
    "blur_px": ("Gaussian blur", "standard deviation, px"),
    "haze": ("Haze", "share of light from the haze"),
    "gsd_factor": ("Coarser ground", "times the ground sample distance"),
    "pgd": ("PGD on features", "epsilon, 255ths"),
}
_SIZE = (236, 190)
_LEFT, _TOP, _BOTTOM, _RIGHT = 44, 10, 42, 12


@dataclass(frozen=True)
class Effect:
    """One corruption."""

    words: str
    values: Mapping[str, tuple[Score, Score, Score]]
    """OA, its change, and the feature distance, by encoder."""


@dataclass(frozen=True)
class Robustness:
    """One probe on one benchmark."""

    benchmark: str
    probe: str
    encoders: tuple[str, ...]
    charts: tuple[tuple[str, Markup], ...]
    """Title and drawing of each kind."""
    effects: tuple[Effect, ...]
    between: Mapping[str, float]
    """Feature distance of two different test images, by encoder."""


def robustness_of(every: Sequence[Lines], looks: Mapping[str, str]) -> tuple[Robustness, ...]:
    """Describe the lines of the score table that hold corruptions."""
    return tuple(_describe(lines, looks) for lines in every if is_corrupted(lines))


def is_corrupted(lines: Lines) -> bool:
    """Whether these are scores under corruption."""
    return any("corruptions" in (row.get("extra") or {}) for row in lines.values())


def _describe(lines: Lines, looks: Mapping[str, str]) -> Robustness:
    encoders = encoders_of(list(lines.values()))
    found = {
        name: {(one["kind"], one["severity"]): one for one in lines[name]["extra"]["corruptions"]}
        for name in encoders
    }
    keys = list(dict.fromkeys(key for of in found.values() for key in of))
    changes = [score_of(one["change"]) for of in found.values() for one in of.values()]
    ends = (min(0.0, *(s.low for s in changes)), max(0.0, *(s.high for s in changes)))
    first = lines[encoders[0]]
    return Robustness(
        benchmark=str(first["benchmark"]),
        probe=str(first["protocol"]).removesuffix("_corrupted"),
        encoders=encoders,
        charts=tuple(
            (_KINDS.get(kind, (kind, ""))[0], _chart(kind, found, looks, ends))
            for kind in dict.fromkeys(kind for kind, _ in keys)
        ),
        effects=tuple(_effect(key, found) for key in keys),
        between={
            name: float(row["extra"]["feature_distance_between_images"])
            for name, row in lines.items()
        },
    )


def _effect(key: tuple[str, float], found: Mapping[str, Mapping[Any, Any]]) -> Effect:
    kind, severity = key
    title, unit = _KINDS.get(kind, (kind, ""))
    return Effect(
        f"{title}, {unit} {_severity(kind, severity)}",
        {
            name: (
                score_of(of[key]),
                score_of(of[key]["change"]),
                score_of(of[key]["feature_distance"]),
            )
            for name, of in found.items()
            if key in of
        },
    )


def _severity(kind: str, value: float) -> str:
    return compact(round(value * 255, 2) if kind == "pgd" else value)


def _chart(
    kind: str,
    found: Mapping[str, Mapping[tuple[str, float], Any]],
    looks: Mapping[str, str],
    ends: tuple[float, float],
) -> Markup:
    """Draw the change by severity, from clean images on, hardest last."""
    severities = sorted({s for of in found.values() for k, s in of if k == kind})
    if kind == "jpeg":
        severities.reverse()
    title, unit = _KINDS.get(kind, (kind, ""))
    canvas = Canvas(*_SIZE, f"{title}: change of accuracy", may_grow=False)
    x = Scale(0, len(severities), _LEFT + 16, _SIZE[0] - _RIGHT)
    y = Scale(*ends, _SIZE[1] - _BOTTOM, _TOP)
    for tick in y.ticks(4):
        style = "axis" if tick == 0 else "grid"
        canvas.add("line", x1=_LEFT, x2=_SIZE[0] - 4, y1=y(tick), y2=y(tick), class_=style)
        canvas.add(
            "text", f"{tick:+.2g}" if tick else "0", x=_LEFT - 6, y=y(tick) + 4, class_="tick end"
        )
    for place, text in enumerate(["clean", *(_severity(kind, s) for s in severities)]):
        canvas.add("text", text, x=x(place), y=_SIZE[1] - 26, class_="tick middle")
    canvas.add("text", unit, x=(_LEFT + _SIZE[0]) / 2, y=_SIZE[1] - 7, class_="label middle")
    for index, (name, of) in enumerate(found.items()):
        aside = 4 * (index - (len(found) - 1) / 2)  # whiskers of several encoders stay apart
        points = [(x(0), y(0))]
        for place, severity in enumerate(severities, start=1):
            if (kind, severity) in of:
                change = score_of(of[kind, severity]["change"])
                points.append((x(place) + aside, y(change.value)))
                _whisker(
                    canvas,
                    f"{name}, {_severity(kind, severity)}",
                    change,
                    looks[name],
                    points[-1],
                    y,
                )
        canvas.polyline(points, f"curve {looks[name]}")
    return canvas.render()


def _whisker(
    canvas: Canvas, name: str, change: Score, look: str, at: tuple[float, float], y: Scale
) -> None:
    low, high = y(change.low), y(change.high)
    canvas.add("line", x1=at[0], x2=at[0], y1=low, y2=high, class_=f"whisker {look}")
    hint = f"{name}: {change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    canvas.add("circle", hint=hint, cx=at[0], cy=at[1], r=3.5, class_=f"dot {look}")
