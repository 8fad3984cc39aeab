"""Moments, numbers and findings as people say them on a page."""

import re
from datetime import UTC, datetime, timedelta
from math import isfinite

_ASIDE = re.compile(
    r" \((?:p = |by chance in )[^)]*\)|, since (?:\w{3} )?\d[\w-]*(?: \w{3} \d{4})?(?: \d\d:\d\d(?: UTC)?)?"
)
_DOUBT = re.compile(r", probably bad data: .*")
_DAY = timedelta(days=1)


def day(moment: datetime, *, year: bool = True) -> str:
    """A moment: at midnight the day alone, else with the time (UTC)."""
    found = moment.astimezone(UTC) if moment.tzinfo else moment
    clock = "" if found.hour == found.minute == 0 else f"{found: %H:%M}"
    return f"{found.day} {found:%b}{f' {found.year}' if year else ''}{clock}"


def window(start: datetime, every: timedelta) -> str:
    """A window: of a day by its day, else by its start and length."""
    if every == _DAY and start.hour == start.minute == 0:
        return f"{start:%A} {start.day} {start:%B %Y}"
    return f"{_length(every)} from {start:%A} {start.day} {start:%B %Y} {start:%H:%M}"


def short(value: float) -> str:
    """A number in a few letters."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size and isfinite(value):
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e4 else f"{value:.3g}"


def exact(value: float) -> str:
    """A number with as many digits as two models may differ in."""
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.2f}" if abs(value) >= 100 else f"{value:.4f}"


def plain(sentence: str) -> str:
    """A finding's sentence without what the page tells beside it: since when, and how rare it is."""
    return _ASIDE.sub("", sentence)


def brief(sentence: str) -> str:
    """And without the probable cause."""
    return _DOUBT.sub("", plain(sentence))


def _length(every: timedelta) -> str:
    for unit, name in ((_DAY, "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if not every % unit:
            return f"{every // unit} {name}{'s' if every != unit else ''}"
    return str(every)
