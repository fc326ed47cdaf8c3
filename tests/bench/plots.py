"""Plots as SVG, drawn by hand: bars and curves are all that the page needs.

Knows rectangles, lines and labels. Must not know what they stand for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 45
_BAR, _STEP = 20, 32
_LABELS = 300
_COLOURS = ("#1f6feb", "#8c959f", "#bc4c00", "#1a7f37")
_LEAST_BAR = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `mine` is drawn in the first colour."""

    label: str
    value: float
    unit: str
    mine: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: points in ascending order of x."""

    label: str
    points: Sequence[tuple[float, float]]


def bars(title: str, drawn: Sequence[Bar]) -> str:
    """Horizontal bars on a logarithmic scale, since the figures lie decades apart."""
    height = _TOP + _STEP * len(drawn) + 10
    least = min(each.value for each in drawn) / 2
    span = max(math.log(max(each.value for each in drawn) / least), 1e-9)
    room = _WIDTH - _LABELS - 110
    parts = []
    for number, each in enumerate(drawn):
        top = _TOP + number * _STEP
        width = max(_LEAST_BAR, room * math.log(each.value / least) / span)
        colour = _COLOURS[0] if each.mine else _COLOURS[1]
        parts += [
            _text(_LABELS - 8, top + 15, each.label, "end"),
            f'<rect x="{_LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
            _text(_LABELS + width + 6, top + 15, f"{_number(each.value)} {each.unit}"),
        ]
    return _document(title, height, parts)


def curves(title: str, drawn: Sequence[Curve], *, across: str, up: str, from_zero: bool = True) -> str:
    """Curves over linear axes."""
    xs = [x for each in drawn for x, _ in each.points]
    ys = [y for each in drawn for _, y in each.points]
    left, right = min(xs), max(xs)
    low, high = (0.0 if from_zero else min(ys)), max(ys) * 1.05
    plane = _Plane(left, max(right, left + 1e-9), low, max(high, low + 1e-9))
    parts = list(_axes(plane, across, up))
    for number, each in enumerate(drawn):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(f"{plane.x(x):.1f},{plane.y(y):.1f}" for x, y in each.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(_LEFT + 12, _TOP + 14 + 16 * number, each.label, fill=colour))
    return _document(title, _HEIGHT, parts)


@dataclass(frozen=True, slots=True)
class _Plane:
    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return _LEFT + (value - self.left) / (self.right - self.left) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(plane: _Plane, across: str, up: str) -> Sequence[str]:
    parts = []
    for step in range(5):
        x = plane.left + (plane.right - plane.left) * step / 4
        y = plane.low + (plane.high - plane.low) * step / 4
        parts += [
            f'<path d="M{_LEFT} {plane.y(y):.1f} H{_WIDTH - _RIGHT}" stroke="#d0d7de"/>',
            _text(_LEFT - 8, plane.y(y) + 4, _number(y), "end"),
            _text(plane.x(x), _HEIGHT - _BOTTOM + 18, _number(x), "middle"),
        ]
    return [*parts, _text(_WIDTH / 2, _HEIGHT - 8, across, "middle"), _text(8, _TOP - 8, up)]


def _number(value: float) -> str:
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _text(x: float, y: float, words: str, anchor: str = "start", fill: str = "#24292f") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'


def _document(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {_WIDTH} {height:.0f}" font-family="sans-serif" font-size="12">'
    )
    ground = f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#ffffff"/>'
    heading = f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, heading, *parts, "</svg>", ""])
