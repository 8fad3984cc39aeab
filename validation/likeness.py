"""How far is a column from what it was in the batches before, measured by how far those were from each other?

A distance is the one to the nearest of the batches before, so that weekends are compared with weekends, divided by the
usual one: the largest that any of those batches had from all batches before itself. So 1 is the strangest that was seen
so far, whatever the column's unit, season or trend.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, sqrt

import numpy as np
import numpy.typing as npt

from validation.batch_profile import QUANTILES, ColumnProfile, Shares

Floats = npt.NDArray[np.float64]

FIRST = 3  # so many batches must lie before one, or its distance from them says nothing
MIN_DISTINCT = 4  # of the nine quantiles: a number with fewer is a code or a rare event, and its unit cannot be told
LEAST_LOG = 0.05  # smaller differences of logarithms are always usual
LEAST_SHARE = 0.05  # and of shares
_LOW, _MIDDLE, _HIGH = 2, 4, 6  # 10, 50 and 90 %
_TINY = 1e-300
_WEIGHTS = np.diff(np.concatenate([[0.0], (np.array(QUANTILES)[1:] + np.array(QUANTILES)[:-1]) / 2, [1.0]]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far a column is from its past, as multiples of what is usual.

    `place`: mean absolute difference of the quantiles (Wasserstein-1; of texts: total variation). `level`: difference
    of the logarithms of the medians, where all have one sign. `spread`: difference of the logarithms of the ranges
    from 10 to 90 %, infinite when there is no range. `outside`: how far place (or level) and spread together lie from
    their medians in the past, as a multiple of the farthest that they ever were (geometric mean of the two).
    """

    place: float
    level: float = 0.0
    spread: float = 0.0
    outside: float = 0.0

    @property
    def most(self) -> float:
        """The largest multiple of a usual distance."""
        return max(self.place, self.level, self.spread)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumberPast:
    """A number (or moment) in the batches before, oldest first, and what distance between them is usual.

    `has_unit`: it varies within each batch, so that a change of its unit can be told.
    """

    quantiles: Floats
    has_unit: bool
    usual_place: float
    usual_level: float
    usual_spread: float

    def distance(self, column: ColumnProfile) -> Distance:
        """How far a number is from it."""
        return self.distance_of(np.array(column.quantiles))

    def distance_of(self, quantiles: Floats) -> Distance:
        """How far a number with these quantiles is from it."""
        place = float((np.abs(quantiles - self.quantiles) @ _WEIGHTS).min()) / self.usual_place
        outside = _outside(float(quantiles @ _WEIGHTS), self.quantiles @ _WEIGHTS, least=self.usual_place)
        spread, middle = float(spread_of(quantiles)), float(quantiles[_MIDDLE])
        if not self.has_unit or spread <= 0:
            return Distance(place=place, spread=inf if self.has_unit else 0.0)
        level = 0.0
        if (medians := self.quantiles[:, _MIDDLE] * np.sign(middle)).min() > 0:
            level = _nearest(log(abs(middle)), np.log(medians)) / self.usual_level
            outside = max(outside, _outside(log(abs(middle)), np.log(medians), least=self.usual_level))
        logs = np.log(spread_of(self.quantiles))
        return Distance(
            place=place,
            level=level,
            spread=_nearest(log(spread), logs) / self.usual_spread,
            outside=sqrt(outside * _outside(log(spread), logs, least=self.usual_spread)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextPast:
    """A text in the batches before, oldest first: its values and shapes, and what distance between them is usual."""

    values: Floats
    shapes: Floats
    value_names: tuple[str, ...]
    shape_names: tuple[str, ...]
    usual_values: float
    usual_shapes: float

    def distance(self, column: ColumnProfile) -> Distance:
        """How far a text is from it, by its values or by its shapes, whichever is more (total variation)."""
        by_values = _apart(_rows([column.shares], self.value_names), self.values).min() / self.usual_values
        by_shapes = _apart(_rows([column.shapes], self.shape_names), self.shapes).min() / self.usual_shapes
        return Distance(place=float(max(by_values, by_shapes)))


def number_past(columns: Sequence[ColumnProfile], *, seen: int) -> NumberPast:
    """The past of a number, to compare with a batch that shows `seen` values: the fewer, the more is usual.

    What is usual is never less than the noise of a sample of that size, or than one step of a whole number.
    """
    quantiles = np.array([column.quantiles for column in columns], dtype=np.float64)
    spreads, medians = spread_of(quantiles), np.abs(quantiles[:, _MIDDLE])
    spread, middle = max(float(np.median(spreads)), _TINY), max(float(np.median(medians)), _TINY)
    noise, step = 1 / np.sqrt(max(seen, 1)), _step(quantiles)
    least_level = max(min(0.5 * spread / middle, 1) * noise, min(step / middle, 1), LEAST_LOG)
    return NumberPast(
        quantiles=quantiles,
        has_unit=bool((spreads > 0).all()) and np.median([len(set(row)) for row in quantiles]) >= MIN_DISTINCT,
        usual_place=max(_usual(np.abs(quantiles[:, None] - quantiles) @ _WEIGHTS), 0.5 * max(spread * noise, step)),
        usual_level=max(_usual_log(medians), least_level),
        usual_spread=max(_usual_log(spreads), 1.5 * noise, min(step / spread, 1), LEAST_LOG),
    )


def text_past(columns: Sequence[ColumnProfile], *, seen: int) -> TextPast:
    """The past of a text, to compare with a batch that shows `seen` values."""
    least = max(LEAST_SHARE, 1 / np.sqrt(max(seen, 1)))
    value_names = tuple({value: None for column in columns for value, _ in column.shares})
    shape_names = tuple({shape: None for column in columns for shape, _ in column.shapes})
    values = _rows([column.shares for column in columns], value_names)
    shapes = _rows([column.shapes for column in columns], shape_names)
    return TextPast(
        values=values,
        shapes=shapes,
        value_names=value_names,
        shape_names=shape_names,
        usual_values=max(_usual(_apart(values[:, None], values)), least),
        usual_shapes=max(_usual(_apart(shapes[:, None], shapes)), least),
    )


def spread_of(quantiles: Floats) -> Floats:
    """Range from 10 to 90 %."""
    difference: Floats = quantiles[..., _HIGH] - quantiles[..., _LOW]
    return difference


def _usual(between: Floats) -> float:
    """The largest distance of a batch from all before it, where enough are before it."""
    return max((float(between[index, :index].min()) for index in range(FIRST, len(between))), default=0.0)


def _outside(now: float, then: Floats, *, least: float) -> float:
    """How far from the median, as a multiple of the farthest that it was."""
    centre = float(np.median(then))
    return abs(now - centre) / max(float(np.abs(then - centre).max()), least)


def _step(quantiles: Floats) -> float:
    """The smallest difference between two quantiles of a batch: 1 for whole numbers; nothing to speak of otherwise."""
    steps = np.diff(quantiles, axis=1)
    return float(steps[steps > 0].min()) if (steps > 0).any() else 0.0


def _usual_log(values: Floats) -> float:
    """Of the logarithms; nothing where there is none."""
    logs = np.log(values) if (values > 0).all() else np.zeros(len(values))
    return _usual(np.abs(logs[:, None] - logs))


def _nearest(now: float, then: Floats) -> float:
    return float(np.abs(then - now).min())


def _rows(of: Sequence[Shares], names: Sequence[str]) -> Floats:
    """Shares of the names, one row for each batch, and last of all what has none of them."""
    index = {name: place for place, name in enumerate(names)}
    rows = np.zeros((len(of), len(names) + 1))
    for row, shares in zip(rows, of, strict=True):
        for name, share in shares:
            row[index.get(name, -1)] += share
    return rows


def _apart(one: Floats, two: Floats) -> Floats:
    """Total variation distance along the last axis: the share of rows that would have to change, in [0, 1]."""
    difference = one - two
    more, less = np.maximum(difference, 0).sum(axis=-1), np.maximum(-difference, 0).sum(axis=-1)
    distance: Floats = np.maximum(more, less)
    return distance
