"""Moments, numbers and probabilities as people say them on a page."""

import re
from datetime import UTC, datetime, timedelta
from math import floor, isfinite, log10

_PROBABILITY = re.compile(r" \(p = [^)]*\)")
_RAREST = 1e-6
_USUAL = 0.05
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
    length = str(every).removesuffix(", 0:00:00").removesuffix(":00")
    return f"{length} from {start:%A} {start.day} {start:%B %Y} {start:%H:%M}"


def short(value: float) -> str:
    """A number in a few letters."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size and isfinite(value):
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e4 else f"{value:.3g}"


def rare(p_value: float) -> str:
    """How often something so far out is seen when nothing has changed; "" where it is nothing special."""
    if not p_value < _USUAL:
        return ""
    if p_value <= _RAREST:
        return "seen less than once in a million windows when nothing has changed"
    times = 1 / p_value
    size = 10 ** max(floor(log10(times)) - 1, 0)
    return f"seen once in {round(times / size) * size:,} windows when nothing has changed"


def plain(sentence: str) -> str:
    """The sentence without its p-value."""
    return _PROBABILITY.sub("", sentence)
