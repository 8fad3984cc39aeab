"""Shares of rows before and now, as pairs of bars: upright for ranges of a number, lying for levels. SVG, no script."""

from collections.abc import Sequence
from html import escape

from andon.pages.story import Bar

_WIDTH = 420
_HEIGHT, _TOP, _BOTTOM, _LEFT = 170, 18, 22, 40
_ROW, _NAMES, _NUMBERS = 30, 130, 100
_LETTER = 8.5  # width of a letter
_LONGEST = 15  # letters of a level that have room


def upright(bars: Sequence[Bar], *, name: str) -> str:
    """Ranges side by side; each reference bar holds what the reference had in this range, so they are much alike."""
    top = _top(bars)
    width = (_WIDTH - _LEFT - 4) / max(len(bars), 1)
    floor = _HEIGHT - _BOTTOM
    parts = [_line(top, 0, floor), _line(top, top, floor)]
    for index, bar in enumerate(bars):
        x = _LEFT + index * width
        parts.append(f"<g><title>{escape(_said(bar))}</title>")
        for offset, share, kind in ((0.1, bar.before, "before"), (0.5, bar.now, "new" if bar.odd else "now")):
            height = (floor - _TOP) * share / top
            parts.append(
                f'<rect x="{x + offset * width:.1f}" y="{floor - height:.1f}" width="{0.38 * width:.1f}" '
                f'height="{height:.1f}" class="{kind}"/>'
            )
        parts.append("</g>")
    parts += _ticks(bars, width)
    return _svg("".join(parts), height=_HEIGHT, name=name)


def lying(bars: Sequence[Bar], *, name: str) -> str:
    """Levels below each other, with their shares in numbers."""
    top, room = _top(bars), _WIDTH - _NAMES - _NUMBERS
    parts = []
    for index, bar in enumerate(bars):
        y = index * _ROW
        shares = f"{share(bar.before)} → {share(bar.now)}"
        short = bar.label if len(bar.label) <= _LONGEST else f"{bar.label[: _LONGEST - 1]}…"
        parts.append(
            f'<g><title>{escape(_said(bar))}</title><text x="{_NAMES - 6}" y="{y + 19}" class="axis" '
            f'text-anchor="end">{escape(short)}</text>'
            f'<rect x="{_NAMES}" y="{y + 3}" width="{room * bar.before / top:.1f}" height="11" class="before"/>'
            f'<rect x="{_NAMES}" y="{y + 15}" width="{room * bar.now / top:.1f}" height="11" '
            f'class="{"new" if bar.odd else "now"}"/>'
            f'<text x="{_WIDTH}" y="{y + 19}" class="axis" text-anchor="end">{escape(shares)}</text></g>'
        )
    return _svg("".join(parts), height=len(bars) * _ROW, name=name)


def share(value: float) -> str:
    """A share of rows in percent: 0 only where it is none."""
    if 0 < value < 0.0005:
        return "<0.1%"
    return f"{value:.1%}" if value < 0.0995 and value else f"{value:.0%}"


def _top(bars: Sequence[Bar]) -> float:
    return max((max(bar.before, bar.now) for bar in bars), default=0.0) or 1.0


def _line(top: float, value: float, floor: int) -> str:
    y = floor - (floor - _TOP) * value / top
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" class="{"grid" if value else "zero"}"/>'
        f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" class="axis" text-anchor="end">{escape(share(value))}</text>'
    )


def _ticks(bars: Sequence[Bar], width: float) -> list[str]:
    """What the reference never had is always named; the lower ends of ranges where there is room."""
    taken: list[tuple[float, float]] = []
    parts = []
    for index, bar in sorted(enumerate(bars), key=lambda pair: not _is_alone(pair[1])):
        wide = _LETTER * len(bar.tick)
        middle = _LEFT + (index + (0.5 if _is_alone(bar) else 0.0)) * width
        left = min(max(middle - wide / 2, 0.0), _WIDTH - wide)
        if bar.tick and all(left > end + _LETTER or left + wide < start - _LETTER for start, end in taken):
            parts.append(f'<text x="{left:.1f}" y="{_HEIGHT - 6}" class="axis">{escape(bar.tick)}</text>')
            taken.append((left, left + wide))
    return parts


def _is_alone(bar: Bar) -> bool:
    return bar.odd or bar.tick == bar.label


def _said(bar: Bar) -> str:
    return f"{bar.label}: {share(bar.before)} of the rows before, {share(bar.now)} now"


def _svg(content: str, *, height: int, name: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(name)}">{content}</svg>'
