"""Has the unit of a number changed? Its place and its spread moved together, and its shape stayed.

A batch is mapped back by each of the conversions that people forget, and by the factor that fits best; one of them must
bring it back to where the column always was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, pi

import numpy as np

from validation.compared import Column, Limits
from validation.likeness import Distance, Floats, NumberPast

FITS = 1.2  # a column is explained when it lies this close to a past, as a multiple of what is usual
FITS_FAR = 5.0  # or this many times closer than without the explanation, but never farther than
FITS_AT_MOST = 3.0
ALONE = 3.0  # times the limit, when the place moved and the spread cannot tell: seasons move it as well
MIN_FACTOR = 1.5  # of a factor that belongs to no known unit
MIN_SHAPE = 5  # distinct ones of the nine quantiles, or no shape can be seen that has been kept
CAPPED = 0.3  # share from which on the most frequent value, such as a range's end, tells of a unit by itself
MANY = 5  # distinct values, from which on a number is no code
MAX_NAMED = 2  # conversions of about the same factor, the more usual first
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a column held before, what it may hold now, and after = factor * before + offset."""

    before: str
    after: str
    factor: float
    offset: float = 0.0

    @property
    def inverse(self) -> "Conversion":
        """The way back."""
        return Conversion(self.after, self.before, 1 / self.factor, -self.offset / self.factor)

    def back(self, quantiles: Floats) -> Floats:
        """The quantiles as they would be without it, in order."""
        return np.sort((quantiles - self.offset) / self.factor)

    def __str__(self) -> str:
        times = f"times {_shown(self.factor)}" if self.factor != 1 else ""
        plus = f"{'plus' if self.offset > 0 else 'minus'} {_shown(abs(self.offset))}" if self.offset else ""
        return f"{times} {plus}".strip()


_ONE_WAY = (
    Conversion("miles", "kilometres", 1.609344),
    Conversion("feet", "metres", 0.3048),
    Conversion("inches", "centimetres", 2.54),
    Conversion("inches", "millimetres", 25.4),
    Conversion("pounds", "kilograms", 0.45359237),
    Conversion("ounces", "grams", 28.349523),
    Conversion("gallons", "litres", 3.785412),
    Conversion("knots", "kilometres per hour", 1.852),
    Conversion("knots", "metres per second", 0.514444),
    Conversion("miles per hour", "metres per second", 0.44704),
    Conversion("metres per second", "kilometres per hour", 3.6),
    Conversion("inches of mercury", "hectopascals", 33.86389),
    Conversion("pounds per square inch", "kilopascals", 6.894757),
    Conversion("calories", "joules", 4.184),
    Conversion("degrees", "radians", pi / 180),
    Conversion("degrees Celsius", "degrees Fahrenheit", 1.8, 32.0),
    Conversion("degrees Celsius", "kelvin", 1.0, 273.15),
    Conversion("degrees Fahrenheit", "kelvin", 1 / 1.8, 273.15 - 32 / 1.8),
    Conversion("minutes (or hours)", "seconds (or minutes)", 60.0),
    Conversion("hours", "seconds", _HOUR),
    Conversion("days", "hours", 24.0),
    Conversion("days", "seconds", 24 * _HOUR),
    Conversion("weeks", "days", 7.0),
    Conversion("years", "months", 12.0),
    Conversion("ones", "tenths", 10.0),
    Conversion("whole units (or shares)", "hundredths such as cents (or per cent)", 100.0),
    Conversion("thousands (or kilometres, kilograms)", "ones (or metres, grams)", 1_000.0),
    Conversion("millions (or seconds)", "ones (or microseconds)", 1_000_000.0),
)
CONVERSIONS = tuple(each for one in _ONE_WAY for each in (one, one.inverse))
SIGN = Conversion("the values", "their negatives", -1.0)
# One hour more or less comes with summer time.
CLOCKS = tuple(
    Conversion("one time zone", f"another one ({hours:+} hours)", 1.0, hours * _HOUR)
    for hours in range(-14, 15)
    if abs(hours) > 1
)


def find_unit(column: Column, limits: Limits) -> str | None:
    """A number is what it was before, times a factor or plus a constant."""
    if not isinstance(column.past, NumberPast):
        return None
    found = None
    if column.past.has_unit and np.isfinite(column.distance.spread):
        known = (*CONVERSIONS, SIGN) if column.now.kind == "number" else CLOCKS
        found = _known(column, column.past, limits, known) or _unknown(column, column.past, limits)
    return found or _capped(column)


def _known(column: Column, past: NumberPast, limits: Limits, known: Sequence[Conversion]) -> str | None:
    quantiles, far = np.array(column.now.quantiles), column.distance
    candidates = [each for each in known if _has_moved(far, limits, scaled=abs(each.factor) != 1)]
    fitting = _fitting(candidates, quantiles, past, fits=max(FITS, min(FITS_AT_MOST, far.most / FITS_FAR)))
    if not fitting:
        return None
    found = [each for outside, each in fitting if outside <= 1] or [min(fitting, key=lambda pair: pair[0])[1]]
    words = " or ".join(f"{each.after} where {each.before} came before ({each})" for each in found[:MAX_NAMED])
    return f"{column.name}: looks like {words}: {_medians(column)}"


def _unknown(column: Column, past: NumberPast, limits: Limits) -> str | None:
    """Times a factor, or plus a constant, that belongs to no unit."""
    quantiles, far = np.array(column.now.quantiles), column.distance
    if min(len(set(column.now.quantiles)), np.median([len(set(row)) for row in past.quantiles])) < MIN_SHAPE:
        return None
    candidates: list[Conversion] = []
    if _has_moved(far, limits, scaled=True):
        factors = (past.quantiles @ quantiles) / (past.quantiles**2).sum(axis=1)
        candidates += [Conversion("", "", each) for each in factors if each > MIN_FACTOR or 0 < each < 1 / MIN_FACTOR]
    if far.place > ALONE**2 * limits.distance and far.spread <= FITS:
        candidates += [Conversion("", "", 1.0, each) for each in np.median(quantiles - past.quantiles, axis=1)]
    fitting = _fitting(candidates, quantiles, past, fits=FITS)
    if not fitting:
        return None
    best = min(fitting, key=lambda pair: pair[0])[1]
    return f"{column.name}: its unit has probably changed, as it has kept its shape ({best}): {_medians(column)}"


def _fitting(
    candidates: Sequence[Conversion], quantiles: Floats, past: NumberPast, *, fits: float
) -> list[tuple[float, Conversion]]:
    """Those that bring a column back into its past, and how far from the middle of it (1: to the end of its range)."""
    distances = [past.distance_of(each.back(quantiles)) for each in candidates]
    return [(far.outside, each) for far, each in zip(distances, candidates, strict=True) if far.most <= fits]


def _has_moved(far: Distance, limits: Limits, *, scaled: bool) -> bool:
    alone = far.place > ALONE * limits.distance
    return alone or far.outside > limits.distance if scaled else alone and far.spread <= FITS


def _capped(column: Column) -> str | None:
    """The one value that always was the most frequent became another one, by the factor of a known unit."""
    tops = [each.shares[0][0] for each in column.then if each.top >= CAPPED]
    many = np.median([each.distinct for each in column.then]) >= MANY
    always = many and 2 * len(tops) > len(column.then) and len(set(tops)) == 1
    if column.now.kind != "number" or column.now.top < CAPPED or not always:
        return None
    before, after = float(tops[0]), float(column.now.shares[0][0])
    for each in CONVERSIONS if before and before != after else ():
        if isclose(before * each.factor + each.offset, after, rel_tol=0.002):
            return (
                f"{column.name}: looks like {each.after} where {each.before} came before ({each}): "
                f"its most frequent value is {_shown(after)} where it was {_shown(before)}"
            )
    return None


def _medians(column: Column) -> str:
    middle = len(column.now.quantiles) // 2
    medians = [each.quantiles[middle] for each in column.then]
    now = column.now.quantiles[middle]
    return f"its median is {_shown(now)} where {_shown(min(medians))} to {_shown(max(medians))} were before"


def _shown(value: float) -> str:
    """Four significant digits."""
    return f"{float(f'{value:.4g}'):,}".removesuffix(".0")
