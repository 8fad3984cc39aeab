"""Two pictures as self-contained SVG: lines over weeks with markers, and a heat map. No script, no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 30, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named line; None leaves a gap."""

    name: str
    colour: str
    values: Sequence[float | None]
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A vertical mark at a position, with a short text on top."""

    at: int
    text: str
    title: str


def lines(series: Sequence[Line], *, labels: Sequence[str], markers: Sequence[Marker] = (), y_title: str = "") -> str:
    """An SVG of the lines over `labels`; an empty one says so."""
    known = [value for line in series for value in line.values if value is not None]
    if not known:
        return '<p class="empty">Nothing to draw yet: no labelled week.</p>'
    low, high = min(known), max(known)
    pad = (high - low or abs(high) or 1.0) * 0.06
    frame = _Frame(count=len(labels), low=low - pad, high=high + pad)
    parts = [_grid(frame), _week_names(frame, labels), *(_marker(frame, marker) for marker in markers)]
    parts += [_path(frame, line, labels) for line in series]
    title = f'<text x="{LEFT}" y="12" class="axis">{escape(y_title)}</text>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{title}{"".join(parts)}</svg>{_legend(series)}'


def heat_map(rows: dict[str, Sequence[int]], *, labels: Sequence[str], most: int) -> str:
    """An SVG of features by weeks, darker for more; `most` is the count that is drawn darkest."""
    if not rows:
        return '<p class="empty">No feature was a finding in any window.</p>'
    left, cell = 130, 18
    width = (WIDTH - left - RIGHT) / max(len(labels), 1)
    parts = []
    for y, (name, counts) in enumerate(rows.items()):
        parts.append(f'<text x="{left - 8}" y="{y * cell + 14}" class="axis" text-anchor="end">{escape(name)}</text>')
        for x, count in enumerate(counts):
            shade = min(count / max(most, 1), 1.0)
            fill = f"rgba(180, 60, 20, {shade:.2f})" if count else "#f2f2ef"
            title = f"{name}, {labels[x]}: {count} of {most} windows"
            parts.append(
                f'<rect x="{left + x * width:.1f}" y="{y * cell}" width="{width - 1:.1f}" height="{cell - 2}" '
                f'fill="{fill}"><title>{escape(title)}</title></rect>'
            )
    step = max(1, len(labels) // 13)
    base = len(rows) * cell + 14
    parts += [
        f'<text x="{left + (x + 0.5) * width:.1f}" y="{base}" class="axis" text-anchor="middle">{escape(label)}</text>'
        for x, label in enumerate(labels)
        if x % step == 0
    ]
    return f'<svg viewBox="0 0 {WIDTH} {base + 8}" role="img">{"".join(parts)}</svg>'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    count: int
    low: float
    high: float

    def x(self, index: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (index + 0.5) / max(self.count, 1)

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)


def _grid(frame: _Frame) -> str:
    parts = []
    for step in range(5):
        value = frame.low + (frame.high - frame.low) * step / 4
        y = frame.y(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="axis" text-anchor="end">{value:.3f}</text>')
    if frame.low < 0 < frame.high:
        zero = frame.y(0.0)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{zero:.1f}" y2="{zero:.1f}" class="zero"/>')
    return "".join(parts)


def _week_names(frame: _Frame, labels: Sequence[str]) -> str:
    step = max(1, len(labels) // 13)
    return "".join(
        f'<text x="{frame.x(i):.1f}" y="{HEIGHT - 18}" class="axis" text-anchor="middle">{escape(label)}</text>'
        for i, label in enumerate(labels)
        if i % step == 0
    )


def _marker(frame: _Frame, marker: Marker) -> str:
    x = frame.x(marker.at)
    return (
        f'<g class="marker"><title>{escape(marker.title)}</title>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{x:.1f}" y="{TOP - 4}" text-anchor="middle">{escape(marker.text)}</text></g>'
    )


def _path(frame: _Frame, line: Line, labels: Sequence[str]) -> str:
    pieces, drawing = [], False
    for index, value in enumerate(line.values):
        if value is not None:
            pieces.append(f"{'L' if drawing else 'M'}{frame.x(index):.1f} {frame.y(value):.1f}")
        drawing = value is not None
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    dots = "".join(
        f'<circle cx="{frame.x(i):.1f}" cy="{frame.y(value):.1f}" r="2.5" fill="{line.colour}">'
        f"<title>{escape(f'{line.name}, {labels[i]}: {value:.4f}')}</title></circle>"
        for i, value in enumerate(line.values)
        if value is not None
    )
    return f'<path d="{" ".join(pieces)}" fill="none" stroke="{line.colour}" stroke-width="2"{dash}/>{dots}'


def _legend(series: Sequence[Line]) -> str:
    return f'<p class="legend">{"".join(_key(line) for line in series)}</p>'


def _key(line: Line) -> str:
    stroke = f"3px {'dashed' if line.dashed else 'solid'} {line.colour}"
    return f'<span><i style="border-top:{stroke}"></i>{escape(line.name)}</span>'
