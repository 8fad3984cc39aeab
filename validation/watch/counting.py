"""Counts a monitoring window as its profile's reference was counted, in one pass. Counts only; judges nothing.

Counts add up: a window may be counted file by file or hour by hour. One streaming query holds all columns: of each
number `sum(column <= edge)` for all edges (the fastest form that was measured), of each category the same on hashes of
its values. So memory does not grow with the rows, nor with the number of different values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from math import inf
from typing import Any

import numpy as np
import polars as pl
from polars.selectors import by_name

from validation.watch.reference import NORMAL_QUARTILE_RANGE, Counts, FeatureProfile, Kind, Profile, finite

_HASHED = (pl.String, pl.Categorical, pl.Enum, pl.Boolean)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCounts:
    """All features of a profile in one window of `rows` rows.

    `gone`: columns that are no longer what they were, and how in words ("has disappeared ...", "was a number and is
    String now"); their rows are counted as nulls.
    """

    rows: int
    features: Mapping[str, Counts]
    gone: Mapping[str, str]


def count_window(rows: pl.LazyFrame | pl.DataFrame, profile: Profile) -> WindowCounts:
    """Count a window's rows in one streaming pass; other columns than the profile's are not read.

    NOTE: numbers that turn out to hold infinities are read once more, for their least and largest finite value.
    NOTE: levels are told apart by 64-bit hashes; a new one passes for one of a thousand with a chance of 1 to 10^16.
    """
    scan = rows.lazy()
    schema = scan.collect_schema()
    gone = {item.name: how for item in profile.features if (how := _gone(item, schema.get(item.name)))}
    features = [item for item in profile.features if item.name not in gone]
    columns = [column for place, item in enumerate(features) for column in _columns(item, place, schema[item.name])]
    sums = [asked for place, item in enumerate(features) for asked in _sums(item, place)]
    found = iter(_row(scan.select(columns or pl.all()), [pl.len(), *sums]))
    height = next(found)
    told = {item.name: _told(item, found, rows=height) for item in features}
    counts = {
        item.name: told.get(item.name) or Counts(bins=(0,) * item.bins, nulls=height) for item in profile.features
    }
    return WindowCounts(rows=height, features=_with_finite_ends(scan, counts), gone=gone)


def merged(first: WindowCounts, second: WindowCounts) -> WindowCounts:
    """The counts of both together, counted by the same profile. A column is gone when no part with rows has it."""
    features = {name: _added(counts, second.features[name]) for name, counts in first.features.items()}
    if first.rows and second.rows:
        gone = {name: how for name, how in first.gone.items() if name in second.gone}
    else:
        gone = dict(first.gone if first.rows else second.gone)
    return WindowCounts(rows=first.rows + second.rows, features=features, gone=gone)


def kind_of(dtype: pl.DataType) -> Kind | None:
    """How a column is profiled; None: not at all."""
    if dtype.is_numeric():
        return "number"
    return "category" if isinstance(dtype, _HASHED) else None


def median(feature: FeatureProfile, counts: Counts) -> float | None:
    """Median of a number's finite values, interpolated from its bins; None without any."""
    return _quantile(feature, counts, 0.5)


def spread(feature: FeatureProfile, counts: Counts) -> float | None:
    """Interquartile range / 1.349 from the bins: the sd if the values are normal; None without finite values."""
    low, high = (_quantile(feature, counts, share) for share in (0.25, 0.75))
    return None if low is None or high is None else finite((high - low) / NORMAL_QUARTILE_RANGE)


def _quantile(feature: FeatureProfile, counts: Counts, share: float) -> float | None:
    """Even inside a bin; beyond the reference's range the steps grow with the distance, as one value may be far out."""
    low, high, edges = counts.low, counts.high, feature.edges
    if low is None or high is None or not edges:
        return None if low is None or high is None else finite(low + share * (high - low))
    below = np.cumsum(counts.bins)
    place = int(np.searchsorted(below, share * below[-1]))
    part = 1 - float(below[place] - share * below[-1]) / counts.bins[place]
    first, last = np.clip([edges[max(place - 1, 0)], edges[min(place, len(edges) - 1)]], low, high).tolist()
    unit = feature.scale or abs(edges[-1]) or 1.0
    if place == 0:
        return finite(max(low, first - _stretched(first - low, 1 - part, unit)))
    if place == len(edges):
        return finite(min(high, last + _stretched(high - last, part, unit)))
    return finite(first + part * (last - first))


def _stretched(distance: float, part: float, unit: float) -> float:
    """A part of a distance: even when it is small beside the unit, geometric when it is large."""
    return unit * float((1 + distance / unit) ** part - 1)


def _gone(feature: FeatureProfile, dtype: pl.DataType | None) -> str | None:
    if dtype is None:
        return "has disappeared: the reference has it, this window does not"
    if isinstance(dtype, pl.Null) or kind_of(dtype) == feature.kind:
        return None
    return f"was a {feature.kind} and is {dtype} now"


def _columns(feature: FeatureProfile, place: int, dtype: pl.DataType) -> Iterator[pl.Expr]:
    """What is summed up, named by the feature's place: a number as it is, a category's hashes and where it is null."""
    column = by_name(feature.name).as_expr()  # pl.col would read "*" or "^a.*$" as patterns
    if feature.kind == "number":
        yield (column if isinstance(dtype, pl.Float64) else column.cast(pl.Float64)).alias(f"{place}")
        return
    yield column.is_not_null().alias(f"{place} present")
    if isinstance(dtype, pl.Boolean):  # ten times as fast as by way of strings
        column = pl.when(column).then(_hash("true")).when(~column).then(_hash("false"))
    else:
        column = (column if isinstance(dtype, pl.String) else column.cast(pl.String)).hash()
    yield column.alias(f"{place}")


def _hash(level: str) -> pl.Expr:
    return pl.lit(pl.Series([level]).hash()[0], dtype=pl.UInt64)


def _sums(feature: FeatureProfile, place: int) -> Iterator[pl.Expr]:
    """`_told` reads their values, in this order. NaN is not below infinity, so it counts as null."""
    column = pl.col(f"{place}")
    if feature.kind == "number":
        yield from ((column <= edge).sum() for edge in (*feature.edges, inf))
        yield from (column.min(), column.max())
        return
    hashes = pl.Series([*feature.levels, *(feature.known or ())], dtype=pl.String).hash()
    yield from ((column == pl.lit(level, dtype=pl.UInt64)).sum() for level in hashes[: len(feature.levels)])
    yield pl.col(f"{place} present").sum()
    if feature.known:
        yield column.is_in(hashes.implode()).sum()


def _told(feature: FeatureProfile, found: Iterator[Any], *, rows: int) -> Counts:
    if feature.kind == "number":
        below = list(islice(found, len(feature.edges) + 1))
        bins = (after - before for before, after in pairwise((0, *below)))
        return Counts(bins=tuple(bins), nulls=rows - below[-1], low=next(found), high=next(found))
    levels, present = tuple(islice(found, len(feature.levels))), next(found)
    other = present - sum(levels)
    novel = 0 if feature.known is None else present - next(found) if feature.known else other
    return Counts(bins=(*levels, other), nulls=rows - present, novel=novel)


def _with_finite_ends(scan: pl.LazyFrame, counts: Mapping[str, Counts]) -> dict[str, Counts]:
    """`low` and `high` are of finite values only; None where there are none."""
    infinite = [name for name, each in counts.items() if -inf == each.low or inf == each.high]
    values = [by_name(name).cast(pl.Float64) for name in infinite]
    usable = [value.filter(value.is_finite()) for value in values]
    asked = [end for value in usable for end in (value.min(), value.max())]
    found = iter(_row(scan, asked) if asked else ())
    ends = {name: (next(found), next(found)) for name in infinite}
    pairs = {name: ends.get(name, (each.low, each.high)) for name, each in counts.items()}
    return {
        name: replace(each, low=finite(pairs[name][0]), high=finite(pairs[name][1])) for name, each in counts.items()
    }


def _row(scan: pl.LazyFrame, asked: Sequence[pl.Expr]) -> tuple[Any, ...]:
    """The values of all aggregates, in order."""
    named = [each.alias(str(place)) for place, each in enumerate(asked)]
    return scan.select(named).collect(engine="streaming").row(0)


def _added(first: Counts, second: Counts) -> Counts:
    lows = [counts.low for counts in (first, second) if counts.low is not None]
    highs = [counts.high for counts in (first, second) if counts.high is not None]
    return Counts(
        bins=tuple(one + other for one, other in zip(first.bins, second.bins, strict=True)),
        nulls=first.nulls + second.nulls,
        novel=first.novel + second.novel,
        low=min(lows, default=None),
        high=max(highs, default=None),
    )
