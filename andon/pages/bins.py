"""Counts of a feature as bars: its reference windows together against one window, in shares of the rows."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf, nextafter

from andon.pages.story import Bar
from andon.pages.words import short
from validation.watch.profile import Counts, FeatureProfile

RANGES = 12  # the reference's up to 32 bins are joined until each holds about this part of its rows
LEVELS = 8
_OTHER = "other levels"
_NEW = "never seen"
_NULL = "null"


def bars(feature: FeatureProfile, now: Counts) -> tuple[Bar, ...]:
    """Ranges of a number in order, or the levels of a category that hold most or moved most; then nulls, if any."""
    before = [sum(items) for items in zip(*(window.bins for window in feature.windows), strict=True)]
    rows = sum(window.rows for window in feature.windows)
    then, current = _shares(before, rows), _shares(now.bins, now.rows)
    parts = _ranges(feature, then, current) if feature.kind == "number" else _levels(feature, now, then, current)
    then_null, now_null = nulls_before(feature), _share(now.nulls, now.rows)
    nulls = Bar(label=_NULL, tick=_NULL, before=then_null, now=now_null, odd=not then_null)
    return (*parts, *([nulls] if nulls.before or nulls.now else []))


def nulls_before(feature: FeatureProfile) -> float:
    """Share of the reference's rows that were null."""
    return _share(sum(window.nulls for window in feature.windows), sum(window.rows for window in feature.windows))


def _ranges(feature: FeatureProfile, then: Sequence[float], now: Sequence[float]) -> Iterator[Bar]:
    """The outermost bins are what the reference never had; they are shown when anything is there."""
    if not feature.edges:
        return
    least = nextafter(feature.edges[0], inf) + 0.0  # no -0: the first edge lies just below the reference's least value
    edges = (least, *feature.edges[1:])
    if now[0] or then[0]:
        yield Bar(label=f"below {short(edges[0])}", tick="below", before=then[0], now=now[0], odd=True)
    start, before, current = 0, 0.0, 0.0
    inner = len(edges) - 1
    enough = sum(then[1:-1]) / RANGES
    for index, (_, high) in enumerate(pairwise(edges)):
        before, current = before + then[index + 1], current + now[index + 1]
        if before >= enough * 0.999 or index == inner - 1:
            low = edges[start]
            yield Bar(label=_said(low, high), tick=short(low), before=before, now=current)
            start, before, current = index + 1, 0.0, 0.0
    if now[-1] or then[-1]:
        yield Bar(label=f"above {short(edges[-1])}", tick="above", before=then[-1], now=now[-1], odd=True)


def _said(low: float, high: float) -> str:
    return short(high) if short(low) == short(high) else f"{short(low)} to {short(high)}"


def _levels(feature: FeatureProfile, counts: Counts, then: Sequence[float], now: Sequence[float]) -> Iterator[Bar]:
    order = sorted(
        range(len(feature.levels)), key=lambda index: -max(then[index], now[index], 5 * abs(now[index] - then[index]))
    )
    shown = sorted(order[:LEVELS], key=lambda index: -then[index])
    for index in shown:
        yield Bar(label=feature.levels[index], before=then[index], now=now[index])
    new = _share(counts.novel, counts.rows)
    rest_before = max(0.0, sum(then) - sum(then[index] for index in shown))
    rest_now = max(0.0, sum(now) - sum(now[index] for index in shown) - new)
    if rest_before or rest_now:
        yield Bar(label=_OTHER, before=rest_before, now=rest_now)
    if new:
        yield Bar(label=_NEW, before=0.0, now=new, odd=True)


def _shares(bins: Sequence[int], rows: int) -> list[float]:
    return [_share(count, rows) for count in bins]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
