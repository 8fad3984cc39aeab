"""The small pictures of a model card: importance, effects of an input, reliability. SVG, no script."""

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

from andon.pages.bars import share
from andon.pages.card_story import EffectBar, InputStory, ReliabilityDot
from andon.pages.words import short

Place = Callable[[float], float]

_WIDTH = 420
_ROW, _NAMES, _NUMBERS = 30, 130, 100
_LONGEST = 15  # letters of a name that have room
_SIDE, _LEFT, _TOP, _BOTTOM = 330, 46, 12, 34


def importance_bars(inputs: Sequence[InputStory], *, name: str) -> str:
    """Two bars for each input: its share of the movement of predictions, and of the gain."""
    top = max((max(item.gain, item.moves or 0.0) for item in inputs), default=0.0) or 1.0
    room = _WIDTH - _NAMES - _NUMBERS
    parts = []
    for index, item in enumerate(inputs):
        y = index * _ROW
        moves = "" if item.moves is None else f"{escape(share(item.moves))} · "
        shown = escape(share(item.gain))
        told = f"{item.name}: {moves and f'{share(item.moves or 0)} of the movement, '}{share(item.gain)} of the gain"
        parts.append(
            f"<g><title>{escape(told)}</title>{_named(item.name, y)}"
            f'<rect x="{_NAMES}" y="{y + 3}" width="{room * (item.moves or 0.0) / top:.1f}" height="11" class="now"/>'
            f'<rect x="{_NAMES}" y="{y + 15}" width="{room * item.gain / top:.1f}" height="11" class="before"/>'
            f'<text x="{_WIDTH}" y="{y + 19}" class="axis" text-anchor="end">{moves}{shown}</text></g>'
        )
    return _svg("".join(parts), height=len(inputs) * _ROW, name=name)


def effect_bars(effects: Sequence[EffectBar], *, name: str) -> str:
    """What each range or level adds to the prediction: to the right where it raises it, to the left where it lowers."""
    top = max((abs(item.adds) for item in effects), default=0.0) or 1.0
    middle, reach = (_NAMES + _WIDTH - _NUMBERS + 30) / 2, (_WIDTH - _NUMBERS + 30 - _NAMES) / 2
    parts = []
    for index, item in enumerate(effects):
        y, long = index * _ROW, reach * abs(item.adds) / top
        start, kind = (middle, "now") if item.adds >= 0 else (middle - long, "before")
        parts.append(
            f"<g><title>{escape(f'{item.label}: {item.adds:+.4g} on average, {item.rows:,} rows')}</title>"
            f"{_named(item.label, y)}"
            f'<rect x="{start:.1f}" y="{y + 7}" width="{long:.1f}" height="16" class="{kind}"/>'
            f'<text x="{_WIDTH}" y="{y + 19}" class="axis" text-anchor="end">{item.adds:+.3g}</text></g>'
        )
    height = len(effects) * _ROW
    parts.append(f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="0" y2="{height}" class="zero"/>')
    return _svg("".join(parts), height=height, name=name)


def reliability_plot(dots: Sequence[ReliabilityDot], *, chances: bool, name: str) -> str:
    """What came by what was said, with the diagonal on which both are the same; larger dots are of more rows."""
    low, high = _ends(dots, chances=chances)
    side, scale = _SIDE - _TOP, (_SIDE - _TOP) / (high - low)

    def x(value: float) -> float:
        return _LEFT + (value - low) * scale * (_WIDTH - _LEFT - 16) / side

    def y(value: float) -> float:
        return _TOP + (high - value) * scale

    parts = [_ticks(low, high, x=x, y=y, chances=chances)]
    parts.append(
        f'<line x1="{x(low):.1f}" y1="{y(low):.1f}" x2="{x(high):.1f}" y2="{y(high):.1f}" class="zero" '
        'stroke-dasharray="4 4"/>'
    )
    most = max(dot.rows for dot in dots)
    for dot in dots:
        told = f"{dot.rows:,} rows: said {dot.said:.4g}, came {dot.came:.4g} ({dot.lower:.4g} to {dot.upper:.4g})"
        parts.append(
            f"<g><title>{escape(told)}</title>"
            f'<line x1="{x(dot.said):.1f}" x2="{x(dot.said):.1f}" y1="{y(dot.lower):.1f}" y2="{y(dot.upper):.1f}" '
            'stroke="#2f5fb3" stroke-width="2" stroke-opacity=".5"/>'
            f'<circle cx="{x(dot.said):.1f}" cy="{y(dot.came):.1f}" r="{2.5 + 3.5 * (dot.rows / most) ** 0.5:.1f}" '
            'class="now"/></g>'
        )
    return _svg("".join(parts), height=_SIDE + _BOTTOM, name=name)


def _ends(dots: Sequence[ReliabilityDot], *, chances: bool) -> tuple[float, float]:
    """Of both axes, at round numbers; of chances from 0 on."""
    found = [value for dot in dots for value in (dot.said, dot.lower, dot.upper)]
    low, high = (0.0, max(found)) if chances else (min(found), max(found))
    if low == high:
        low, high = low - 1.0, high + 1.0
    step = _step(low, high)
    low, high = floor(low / step) * step, ceil(high / step - 1e-9) * step
    return low, min(1.0, high) if chances else high


def _step(low: float, high: float) -> float:
    size = 10.0 ** floor(log10((high - low) / 4))
    return next(size * one for one in (1, 2, 2.5, 5, 10) if size * one * 5 >= (high - low) * 0.999)


def _ticks(low: float, high: float, *, x: Place, y: Place, chances: bool) -> str:
    step, parts = _step(low, high), []
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        if value > high + step / 1e6:
            break
        text = f"{value:.0%}" if chances and step >= 0.01 else short(value)
        parts.append(
            f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" class="axis" text-anchor="end">{text}</text>')
        anchor = "end" if value == high else "middle"
        parts.append(f'<text x="{x(value):.1f}" y="{_SIDE + 18}" class="axis" text-anchor="{anchor}">{text}</text>')
    return "".join(parts)


def _named(name: str, y: float) -> str:
    cut = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return f'<text x="{_NAMES - 6}" y="{y + 19}" class="axis" text-anchor="end">{escape(cut)}</text>'


def _svg(content: str, *, height: float, name: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(name)}">{content}</svg>'
