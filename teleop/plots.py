"""Small plots as inline SVG: no library, no script, readable in light, dark and print.

Colours are the CSS variables of the page (`--a`, `--b`, `--line`, `--soft`), so that a plot follows
its theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
_POINTS = 400
"""Columns a curve is reduced to; each keeps its lowest and highest value, so spikes stay."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 22, 18
_WIDE_LEFT = 92
"""Room for the names of a timeline's rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One line of a plot.

    Attributes:
        t_s: (N,) times [s].
        y: (N,) values; NaN breaks the line.
        style: CSS class, `a` or `b`.
        name: For the tooltip.
    """

    t_s: Vector
    y: Vector
    style: str = "a"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one time."""

    t_s: float
    text: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot area in pixels and what it spans."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    left: float = _LEFT

    def px(self, x: npt.ArrayLike) -> Vector:
        span = max(self.x[1] - self.x[0], 1e-12)
        room = self.width - self.left - _RIGHT
        return np.asarray(self.left + (np.asarray(x) - self.x[0]) / span * room)

    def py(self, y: npt.ArrayLike) -> Vector:
        span = max(self.y[1] - self.y[0], 1e-12)
        room = self.height - _TOP - _BOTTOM
        return np.asarray(self.height - _BOTTOM - (np.asarray(y) - self.y[0]) / span * room)


def line_plot(
    title: str,
    curves: Sequence[Curve],
    *,
    unit: str = "",
    span_s: tuple[float, float] | None = None,
    y_span: tuple[float, float] | None = None,
    least_span: float = 0.0,
    width: int = 420,
    height: int = 110,
) -> str:
    """Curves over time.

    Args:
        title: Above the plot.
        curves: What to draw; those without a finite value are left out.
        unit: Of y, in the title.
        span_s: Times shown; those of the curves when not given.
        y_span: Values shown; those of the curves, with some air, when not given.
        least_span: Smallest range of y when it follows the curves, so that noise looks small.
        width: [px].
        height: [px].
    """
    shown = [c for c in curves if len(c.y) and np.isfinite(c.y).any()]
    if not shown:
        return _empty(title, width, height)
    x = span_s or (min(float(c.t_s[0]) for c in shown), max(float(c.t_s[-1]) for c in shown))
    frame = _Frame(width, height, x, y_span or _range(shown, least_span))
    parts = [_grid(frame), *(_curve(frame, c) for c in shown)]
    return _svg(frame, f"{title} [{unit}]" if unit else title, "".join(parts))


def histogram(
    title: str,
    values: Vector,
    *,
    unit: str,
    marks: Sequence[tuple[str, float]] = (),
    width: int = 420,
    height: int = 140,
) -> str:
    """How often which value occurs, 60 bins up to just beyond the 99.5th percentile.

    Args:
        title: Above the plot.
        values: (N,) finite values, at least 0.
        unit: Of the values.
        marks: (name, value) pairs drawn as vertical lines.
        width: [px].
        height: [px].
    """
    if not len(values):
        return _empty(title, width, height)
    top = max(float(np.percentile(values, 99.5)), *(v for _, v in marks), 1e-9) * 1.1
    counts, edges = np.histogram(values, bins=60, range=(0.0, top))
    beyond = int((values > top).sum())
    frame = _Frame(width, height, (0.0, top), (0.0, float(max(counts.max(), 1))))
    left, right, base = frame.px(edges[:-1]), frame.px(edges[1:]), float(frame.py(0.0))
    bars = [
        f'<rect class="bar" x="{a:.1f}" y="{y:.1f}" width="{max(b - a - 1, 0.5):.1f}" '
        f'height="{base - y:.1f}"><title>{n} of {len(values)}</title></rect>'
        for a, b, y, n in zip(left, right, frame.py(counts), counts, strict=True)
        if n
    ]
    lines = [_vertical(frame, v, f"{name} {v:.2f} {unit}", i) for i, (name, v) in enumerate(marks)]
    ticks = _x_ticks(frame, unit)
    note = f", {beyond} beyond {top:.1f} {unit}" if beyond else ""
    body = "".join([*bars, *lines, ticks])
    return _svg(frame, f"{title} ({len(values)} values{note})", body)


def timeline(
    marks: Sequence[Mark],
    bars: Sequence[tuple[str, str, float, float]],
    span_s: tuple[float, float],
) -> str:
    """Events as ticks with their names, and bars of what lasted, over the whole width.

    Args:
        marks: Events.
        bars: (row name, CSS class, start [s], end [s]).
        span_s: Times shown.
    """
    rows = list(dict.fromkeys(row for row, *_ in bars))
    levels, depth = _label_levels(marks, span_s)
    height = _TOP + 14 * depth + 16 * len(rows) + 26
    frame = _Frame(880, height, span_s, (0.0, 1.0), _WIDE_LEFT)
    parts = []
    top = _TOP + 14 * depth
    for row, style, start, end in bars:
        y = top + 16 * rows.index(row)
        a, b = frame.px([max(start, span_s[0]), min(end, span_s[1])])
        parts.append(
            f'<rect class="fill {style}" x="{a:.1f}" y="{y + 2}" width="{max(b - a, 1.5):.1f}" '
            f'height="12"><title>{escape(row)} {start:.2f} to {end:.2f} s</title></rect>'
        )
    parts += [
        f'<text class="tick" x="{_WIDE_LEFT - 6}" y="{top + 16 * i + 11}" text-anchor="end">'
        f"{escape(row)}</text>"
        for i, row in enumerate(rows)
    ]
    for mark, level in zip(marks, levels, strict=True):
        x, y = float(frame.px(mark.t_s)), _TOP + 14 * level
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 9}" y2="{height - _BOTTOM}"/>'
            f'<text class="tick" x="{x + 3:.1f}" y="{y}">{escape(mark.text)}</text>'
        )
    parts.append(_x_ticks(frame, "s"))
    return _svg(frame, "", "".join(parts))


def _label_levels(marks: Sequence[Mark], span_s: tuple[float, float]) -> tuple[list[int], int]:
    """A line of text for each mark such that labels do not overlap."""
    ends: list[float] = []
    levels = []
    scale = (880 - _WIDE_LEFT - _RIGHT) / max(span_s[1] - span_s[0], 1e-9)
    for mark in marks:
        x = (mark.t_s - span_s[0]) * scale
        level = next((i for i, end in enumerate(ends) if x >= end), len(ends))
        if level == len(ends):
            ends.append(0.0)
        ends[level] = x + 6.2 * len(mark.text) + 10
        levels.append(level)
    return levels, max(len(ends), 1)


def _range(curves: Sequence[Curve], least_span: float) -> tuple[float, float]:
    finite = np.concatenate([c.y[np.isfinite(c.y)] for c in curves])
    low, high = float(finite.min()), float(finite.max())
    air = 0.06 * max(high - low, 1e-6) + max(0.0, least_span - (high - low)) / 2
    return low - air, high + air


def _curve(frame: _Frame, curve: Curve) -> str:
    t, y = _reduce(curve.t_s, curve.y)
    xs, ys = frame.px(t), np.clip(frame.py(y), -1e4, 1e4)
    path, pen_down = [], False
    for a, b in zip(xs, ys, strict=True):
        if not np.isfinite(b):
            pen_down = False
            continue
        path.append(f"{'L' if pen_down else 'M'}{a:.1f} {b:.1f}")
        pen_down = True
    title = f"<title>{escape(curve.name)}</title>" if curve.name else ""
    return f'<path class="curve {curve.style}" d="{"".join(path)}">{title}</path>'


def _reduce(t: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Keep the lowest and highest row of each of `_POINTS` stretches."""
    if len(y) <= 2 * _POINTS:
        return t, y
    keep: list[int] = []
    for stretch in np.array_split(np.arange(len(y)), _POINTS):
        values = y[stretch]
        if np.isfinite(values).any():
            keep += sorted({int(stretch[np.nanargmin(values)]), int(stretch[np.nanargmax(values)])})
        else:
            keep.append(int(stretch[0]))
    return t[keep], y[keep]


def _grid(frame: _Frame) -> str:
    parts = [_x_ticks(frame, "s")]
    low, high = frame.y
    for value in _nice_ticks(low, high, 3):
        y = float(frame.py(value))
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{frame.width - _RIGHT}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text class="tick" x="{_LEFT - 5}" y="{y + 3.5:.1f}" '
            f'text-anchor="end">{value:g}</text>'
        )
    return "".join(parts)


def _x_ticks(frame: _Frame, unit: str) -> str:
    ticks = _nice_ticks(*frame.x, 6)
    base = frame.height - _BOTTOM
    right = frame.width - _RIGHT
    parts = [f'<line class="grid" x1="{frame.left}" x2="{right}" y1="{base}" y2="{base}"/>']
    for i, value in enumerate(ticks):
        x = float(frame.px(value))
        label = f"{value:g} {unit}" if i == len(ticks) - 1 else f"{value:g}"
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{base + 13}" text-anchor="middle">{label}</text>'
        )
    return "".join(parts)


def _nice_ticks(low: float, high: float, about: int) -> list[float]:
    """Round values inside a range, in steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not (np.isfinite(span) and span > 0):
        return [low]
    raw = span / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = next((m * power for m in (1, 2, 5) if m * power >= raw), 10 * power)
    first = np.ceil(low / step - 1e-9) * step
    count = int((high - first) / step + 1e-9) + 1
    return [round(float(first + i * step), 10) + 0.0 for i in range(count)]


def _vertical(frame: _Frame, value: float, text: str, row: int) -> str:
    x, y = float(frame.px(value)), _TOP + 10 + 13 * row
    left = x < frame.width * 0.62
    anchor, shift = ("start", 4) if left else ("end", -4)
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{frame.height - _BOTTOM}"/>'
        f'<text class="note" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _svg(frame: _Frame, title: str, body: str) -> str:
    head = f'<text class="title" x="2" y="11">{escape(title)}</text>' if title else ""
    return (
        f'<svg viewBox="0 0 {frame.width:g} {frame.height:g}" role="img" '
        f'aria-label="{escape(title, quote=True)}">{head}{body}</svg>'
    )


def _empty(title: str, width: int, height: int) -> str:
    frame = _Frame(width, height, (0, 1), (0, 1))
    middle = (
        f'<text class="note" x="{width / 2}" y="{height / 2}" text-anchor="middle">no data</text>'
    )
    return _svg(frame, title, middle)
