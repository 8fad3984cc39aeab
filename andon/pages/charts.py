"""Lines over time as self-contained SVG: with gaps, bands, whiskers and marks. No script, no network.

The axis stands on the right, beside the newest value: on a narrow screen that end is seen first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

from andon.pages.layout import empty

WIDTH = 960
LEFT, RIGHT, TOP, BOTTOM = 12, 62, 26, 26
_LABEL_WIDTH = 90  # of a date below the axis
_STEPS = (1, 2, 2.5, 5, 10)
_FLAT = 0.02  # half the height of a picture in which nothing moves, as a share of the value


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named line; None leaves a gap. `lower` and `upper`, where given, are drawn as a band, or as whiskers where the
    values are `dots`, which are not connected.
    """

    name: str
    colour: str
    values: Sequence[float | None]
    dashed: bool = False
    dots: bool = False
    lower: Sequence[float | None] = ()
    upper: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A vertical mark at a position, with a short text on top."""

    at: int
    text: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """How a picture is read: its name for those who cannot see it, height, and whether values are shares (0.1: 10 %).

    `levels`: values that are always in the picture; where they have a meaning, a dotted line and the legend tell it.
    `nothing`: what is said where no value is known.
    """

    name: str
    height: int = 300
    percent: bool = False
    levels: Sequence[tuple[float, str]] = ()
    nothing: str = "Nothing to draw yet."


def lines(series: Sequence[Line], *, labels: Sequence[str], axes: Axes, markers: Sequence[Marker] = ()) -> str:
    """An SVG of the lines over `labels`, and its legend; a sentence where no value is known."""
    drawn = [line for line in series if any(value is not None for value in line.values)]
    if not drawn:
        return empty(axes.nothing)
    frame = _frame(drawn, count=len(labels), axes=axes)
    parts = [_grid(frame, axes), _labels(frame, labels), *(_marker(frame, marker) for marker in markers)]
    parts += [_interval(frame, line) for line in drawn]
    parts += [_path(frame, line, labels, axes) for line in drawn]
    return (
        f'<svg viewBox="0 0 {WIDTH} {axes.height}" role="img" aria-label="{escape(axes.name)}">{"".join(parts)}</svg>'
        f'<p class="legend">{"".join((*map(_key, drawn), *map(_level_key, axes.levels)))}</p>'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    count: int
    low: float
    high: float
    step: float
    height: int

    def x(self, index: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (index + 0.5) / max(self.count, 1)

    def y(self, value: float) -> float:
        return TOP + (self.height - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)


def _frame(series: Sequence[Line], *, count: int, axes: Axes) -> _Frame:
    """Ends and steps at round numbers, so that a person can read them."""
    known = [value for line in series for values in (line.values, line.lower, line.upper) for value in values]
    found = [value for value in known if value is not None] + [value for value, _ in axes.levels]
    low, high = min(found), max(found)
    if low == high:
        low, high = low - (abs(low) or 1.0) * _FLAT, high + (abs(high) or 1.0) * _FLAT
    steps = 4 if axes.height > 200 else 2
    size = 10 ** floor(log10((high - low) / steps))
    step = next(size * one for one in _STEPS if size * one * steps >= (high - low) * 0.999)
    return _Frame(
        count=count, low=floor(low / step) * step, high=-floor(-high / step) * step, step=step, height=axes.height
    )


def _grid(frame: _Frame, axes: Axes) -> str:
    parts, right = [], WIDTH - RIGHT
    for number in range(round((frame.high - frame.low) / frame.step) + 1):
        value = frame.low + number * frame.step
        y = frame.y(value)
        kind = "zero" if abs(value) < frame.step / 1e6 else "grid"
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="{kind}"/>')
        parts.append(f'<text x="{right + 8}" y="{y + 4:.1f}" class="axis">{_tick(value, frame.step, axes)}</text>')
    for value, meaning in axes.levels:
        if meaning:
            y = frame.y(value)
            parts.append(
                f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#555" stroke-dasharray="2 3"/>'
            )
    return "".join(parts)


def _tick(value: float, step: float, axes: Axes) -> str:
    size = step * (100 if axes.percent else 1)
    digits = next((digits for digits in range(7) if abs(round(size, digits) - size) < size * 1e-6), 6)
    shown = 0.0 if abs(value) < step / 1e6 else value
    return f"{shown:.{digits}%}" if axes.percent else f"{shown:.{digits}f}"


def _labels(frame: _Frame, labels: Sequence[str]) -> str:
    """As many as do not touch each other, counted from the newest."""
    step = max(1, -(-len(labels) * _LABEL_WIDTH // (WIDTH - LEFT - RIGHT)))
    return "".join(
        f'<text x="{frame.x(i):.1f}" y="{frame.height - 8}" class="axis" text-anchor="middle">{escape(label)}</text>'
        for i, label in enumerate(labels)
        if (len(labels) - 1 - i) % step == 0
    )


def _marker(frame: _Frame, marker: Marker) -> str:
    x = frame.x(marker.at)
    return (
        f'<g class="marker"><title>{escape(marker.title)}</title>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{frame.height - BOTTOM}"/>'
        f'<text x="{x:.1f}" y="{TOP - 8}" text-anchor="middle">{escape(marker.text)}</text></g>'
    )


def _interval(frame: _Frame, line: Line) -> str:
    """A band for each stretch without a gap; whiskers for dots."""
    parts = []
    for run in _runs(line.lower, line.upper):
        if line.dots or len(run) == 1:
            parts += [
                f'<line x1="{frame.x(i):.1f}" x2="{frame.x(i):.1f}" y1="{frame.y(low):.1f}" y2="{frame.y(high):.1f}" '
                f'stroke="{line.colour}" stroke-width="1.5" stroke-opacity=".55"/>'
                for i, low, high in run
            ]
        else:
            there = [f"{frame.x(i):.1f} {frame.y(high):.1f}" for i, _, high in run]
            back = [f"{frame.x(i):.1f} {frame.y(low):.1f}" for i, low, _ in reversed(run)]
            parts.append(f'<path d="M{"L".join(there + back)}Z" fill="{line.colour}" fill-opacity=".16"/>')
    return "".join(parts)


def _runs(lower: Sequence[float | None], upper: Sequence[float | None]) -> Iterator[list[tuple[int, float, float]]]:
    """Neighbours that have both bounds."""
    run: list[tuple[int, float, float]] = []
    for index, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if low is not None and high is not None:
            run.append((index, low, high))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _path(frame: _Frame, line: Line, labels: Sequence[str], axes: Axes) -> str:
    pieces, drawing = [], False
    for index, value in enumerate(line.values):
        if value is not None:
            pieces.append(f"{'L' if drawing else 'M'}{frame.x(index):.1f} {frame.y(value):.1f}")
        drawing = value is not None
    dash = ' stroke-dasharray="6 4"' if line.dashed else ""
    path = f'<path d="{"".join(pieces)}" fill="none" stroke="{line.colour}" stroke-width="2"{dash}/>'
    dots = "".join(
        f'<circle cx="{frame.x(i):.1f}" cy="{frame.y(value):.1f}" r="{4 if line.dots else 2.5}" fill="{line.colour}">'
        f"<title>{escape(f'{line.name}, {labels[i]}: {_said(value, axes)}')}</title></circle>"
        for i, value in enumerate(line.values)
        if value is not None
    )
    return dots if line.dots else path + dots


def _said(value: float, axes: Axes) -> str:
    return f"{value:+.1%}" if axes.percent else f"{value:.4f}"


def _key(line: Line) -> str:
    if line.dots:
        mark = f'<i class="box" style="background:{line.colour};border-radius:50%;width:10px;height:10px"></i>'
    else:
        mark = f'<i style="border-top:3px {"dashed" if line.dashed else "solid"} {line.colour}"></i>'
    return f"<span>{mark}{escape(line.name)}</span>"


def _level_key(level: tuple[float, str]) -> str:
    return f'<span><i style="border-top:2px dotted #555"></i>{escape(level[1])}</span>' if level[1] else ""
