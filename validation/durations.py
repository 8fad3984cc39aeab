"""Durations as people write them ("7d", "36h", "15m") and as Python calculates with them."""

import re
from datetime import timedelta

from validation.errors import DefinitionError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PATTERN = re.compile(r"(\d+)([smhdw])")


def duration(value: str | timedelta, *, field: str, allow_zero: bool = False) -> timedelta:
    """Read `value`, "7d" or a timedelta, as a positive timedelta (or none); `field` names it in the error."""
    if isinstance(value, timedelta):
        span = value
    else:
        match = _PATTERN.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise DefinitionError(f"{field} must be a duration like '7d', '36h' or a timedelta, got {value!r}")
        span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if span < timedelta(0) or not (span or allow_zero):
        raise DefinitionError(f"{field} must be longer than nothing, got {value!r}")
    return span


def span(checked: str | timedelta) -> timedelta:
    """A field of a definition as a timedelta; its construction has checked it and made it one."""
    return duration(checked, field="duration", allow_zero=True)
