"""Has a number another unit? Recognises what a conversion does to a window's values.

Recognised, when the values converted back lie where those of reference windows lay, and as they are do not: factors of
10, 100, 1,000, 1,000,000, 60 and 3,600 either way, a flipped sign, and Celsius, Fahrenheit and Kelvin for each other.

Not recognised: factors near 1 (miles for kilometres, pounds for kilograms, currencies), since drift looks the same:
they are told as a shift, and a person must say which it is. Nor the flipped sign of what is symmetric about 0, which
changes nothing; temperatures whose reference is so wide that both scales fit; a unit that changed in a part of the
rows; a changed unit beside one wild value; windows of fewer than 50 rows; and codes, such as 1 to 4 for the seasons.
What is far off in another way is "another unit or broken".
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from validation.watch.counting import spread
from validation.watch.profile import Counts, FeatureProfile
from validation.watch.surprise import TINY

SLACK = 0.5  # reference windows' least and largest values may be exceeded by this share of their range
ALIKE = 0.2  # distributions whose shares below any edge differ by no more than this are the same, but for drift
FAR = 10.0  # a median this many reference sd away is another unit, or a broken source
STRETCHED = 10.0  # so is a spread this many times beyond that of any reference window and of all together
NEAR = 5.0  # less than this many times off is not worth a closer look
RARE_END = 0.1  # share of the reference's rows
FEW_ROWS = 10  # that fewer rows are all the same, or nearly, is no sign of anything
ENOUGH_ROWS = 50  # fewer tell too little of a distribution to say by what it was multiplied
CODES = 8  # a number with fewer different values (by its edges) is a code or a count: it has no unit


@dataclass(frozen=True, slots=True)
class Conversion:
    """now = factor * then + offset, and how it is told."""

    factor: float
    offset: float
    words: str


CONVERSIONS = (
    *(Conversion(float(by), 0.0, f"multiplied by {by:,}") for by in (10, 100, 1_000, 1_000_000, 60, 3_600)),
    *(Conversion(1 / by, 0.0, f"divided by {by:,}") for by in (10, 100, 1_000, 1_000_000, 60, 3_600)),
    Conversion(-1.0, 0.0, "given the opposite sign"),
    Conversion(1.8, 32.0, "converted from Celsius to Fahrenheit"),
    Conversion(1 / 1.8, -32 / 1.8, "converted from Fahrenheit to Celsius"),
    Conversion(1.0, 273.15, "converted from Celsius to Kelvin"),
    Conversion(1.0, -273.15, "converted from Kelvin to Celsius"),
)


def conversion(feature: FeatureProfile, now: Counts) -> Conversion | None:
    """The conversion that explains the window, of several the one whose least and largest value fit best; None if none
    explains it, or none is needed.
    """
    if now.present < ENOUGH_ROWS or _is_code(feature):
        return None
    windows = [(window.low, window.high) for window in feature.windows]
    then = np.array([(low, high) for low, high in windows if low is not None and high is not None])
    if now.low is None or now.high is None or not len(then):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        slack = SLACK * (then.max(axis=0) - then.min(axis=0)) + 1e-9 * np.abs(then).max()
        low, high = then.min(axis=0) - slack, then.max(axis=0) + slack
        ends = np.array([now.low, now.high])
        if ((ends >= low) & (ends <= high)).all():
            return None
        backs = [(np.sort((ends - item.offset) / item.factor), item) for item in CONVERSIONS]
        fitting = [(back, item) for back, item in backs if ((back >= low) & (back <= high)).all()]
    plain = _apart(feature, now, Conversion(1.0, 0.0, ""))
    found = [
        (float(np.abs((back - then.mean(axis=0)) / np.maximum(slack, TINY)).sum()), item)
        for back, item in fitting
        if _apart(feature, now, item) <= min(ALIKE, plain / 2)
    ]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def is_far(feature: FeatureProfile, distance: float, now: Counts) -> bool:
    """Is the median, or the spread, so far from the reference's that another unit or a broken source is likely?

    A code is far when it is many times the largest that there was: its standard deviation says nothing, as a season
    may not have changed in all of the reference.
    """
    if _is_code(feature):
        return _largest([now]) > FAR * max(_largest(feature.windows), 1.0)
    return abs(distance) > FAR or _is_stretched(feature, now)


def is_beyond(feature: FeatureProfile, now: Counts) -> bool:
    """Does most of a number lie at one end of what the reference had, or beyond, where little of the reference lay?"""
    whole = np.sum([window.bins for window in feature.windows], axis=0)
    ends = (slice(0, 2), slice(-2, None))
    return any(2 * sum(now.bins[end]) > now.present and whole[end].sum() < RARE_END * whole.sum() for end in ends)


def is_stuck(feature: FeatureProfile, now: Counts) -> bool:
    """Have all rows of the window one value, which no reference window had?"""
    return _is_constant(feature, now) and not any(_is_constant(feature, window) for window in feature.windows)


def _apart(feature: FeatureProfile, now: Counts, converted: Conversion) -> float:
    """Kolmogorov-Smirnov distance, at the edges, of the window and the reference after this conversion; in [0, 1].

    NOTE: a reference's share below a converted edge is interpolated, which blurs what has few different values.
    """
    edges = np.array(feature.edges)
    whole = np.sum([window.bins for window in feature.windows], axis=0, dtype=np.float64)
    then = np.cumsum(whole)[:-1] / whole.sum()
    current = np.cumsum(now.bins, dtype=np.float64)[:-1] / now.present
    at = (edges - converted.offset) / converted.factor
    expected = np.interp(at, edges, then, left=0.0, right=1.0)
    return float(np.abs(current - (expected if converted.factor > 0 else 1 - expected)).max())


def _is_constant(feature: FeatureProfile, counts: Counts) -> bool:
    if counts.present < FEW_ROWS:
        return False
    if feature.kind == "number":
        return counts.low is not None and counts.low == counts.high
    return max(counts.bins[:-1], default=0) == counts.present


def _largest(windows: Iterable[Counts]) -> float:
    ends = (end for window in windows for end in (window.low, window.high) if end is not None)
    return max(map(abs, ends), default=0.0)


def _is_code(feature: FeatureProfile) -> bool:
    return len(feature.edges) < CODES


def _is_stretched(feature: FeatureProfile, now: Counts) -> bool:
    current, whole = spread(feature, now), feature.scale
    if now.present < ENOUGH_ROWS or current is None or whole is None or whole / NEAR < current < whole * NEAR:
        return False
    each = [scale for window in feature.windows if (scale := spread(feature, window)) is not None]
    return bool(each) and (current > STRETCHED * max(whole, *each) or current < min(each) / STRETCHED)
