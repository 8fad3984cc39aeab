"""The product's own detector on simulated counts: profiles, windows, and the alarm that goes through them in order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.alarms_world import CENTRES, EDGES, LEVELS, NUMBERS, PREDICTION, Column, Ints, name_of
from validation.watch.counting import WindowCounts
from validation.watch.drift import Drift, DriftVerdict, judge
from validation.watch.evidence import Prepared
from validation.watch.performance import Monitor
from validation.watch.profile import BINS, KNOWN, Counts, FeatureProfile, Profile
from validation.watch.profile import LEVELS as MOST_LEVELS

REFERENCE = Monitor().reference_windows  # the product's default
POLICY = Drift()
UNTIL = datetime(2013, 4, 29, tzinfo=UTC)  # where the reference ends
DAY = timedelta(days=1)
NOTHING: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """How a column is counted. `cuts`: how many cells lie below each edge of a number, None for a category; `shown`: a
    category's levels that are counted one by one; `unseen`: levels that the reference never had.
    """

    name: str
    cuts: Ints | None
    shown: Ints
    unseen: Ints


def profile_of(columns: Sequence[Column], *, windows: int = REFERENCE) -> tuple[Profile, tuple[Gauge, ...]]:
    """The profile of the first `windows` windows, as `build_profile` makes it of rows, and how to count others."""
    first = [Column(cells=item.cells[:windows], nulls=item.nulls[:windows]) for item in columns]
    made = [_feature(index, item) for index, item in enumerate(first)]
    profile = Profile(
        until=UNTIL.isoformat(), every_seconds=DAY.total_seconds(), features=tuple(feature for feature, _ in made)
    )
    return profile, tuple(gauge for _, gauge in made)


def counted(gauge: Gauge, column: Column) -> list[Counts]:
    """One column's counts, window by window."""
    if gauge.cuts is not None:
        return _numbers(column, gauge.cuts)
    return _levels(column, gauge.shown, novel=column.cells[:, gauge.unseen].sum(axis=1))


def windows_of(gauges: Sequence[Gauge], columns: Sequence[Column]) -> list[WindowCounts]:
    """All columns' counts, window by window."""
    found = [counted(gauge, column) for gauge, column in zip(gauges, columns, strict=True)]
    names = [gauge.name for gauge in gauges]
    return [
        WindowCounts(rows=row[0].rows, features=dict(zip(names, row, strict=True)), gone={})
        for row in zip(*found, strict=True)
    ]


def changed(window: WindowCounts, counts: dict[str, Counts]) -> WindowCounts:
    """The same window with other counts of some columns."""
    return replace(window, features={**window.features, **counts})


def verdict_on(reference: Prepared, window: WindowCounts, index: int, previous: Sequence[DriftVerdict]) -> DriftVerdict:
    """The product's verdict on the window `index` days after the reference, after the verdicts before it."""
    start = UNTIL + index * DAY
    seen = [item.seen for item in previous]
    return judge(
        reference, window, pipeline="simulated", window_start=start, policy=POLICY, previous=seen, as_of=start + DAY
    )


def is_new(verdict: DriftVerdict, before: DriftVerdict | None) -> bool:
    """A new alarm: raised, and it was not after the window before."""
    return verdict.raised and (before is None or not before.raised)


def predictions_new(verdicts: Sequence[DriftVerdict]) -> list[bool]:
    """The same of the prediction's own alarm, window by window; it is cleared as the other one is."""
    alarms = [verdict.prediction == "drift" for verdict in verdicts]
    return [alarm and not any(alarms[max(0, at - POLICY.clear_after) : at]) for at, alarm in enumerate(alarms)]


def names(verdict: DriftVerdict, column: int) -> bool:
    """Does it name the column as drifted?"""
    return any(feature.drifted and feature.name == name_of(column) for feature in verdict.features)


def _feature(index: int, column: Column) -> tuple[FeatureProfile, Gauge]:
    if NUMBERS <= index < PREDICTION:
        return _category(name_of(index), column, LEVELS[index - NUMBERS])
    return _number(name_of(index), column)


def _number(name: str, column: Column) -> tuple[FeatureProfile, Gauge]:
    """Edges at the reference's quantiles (the cell in which each lies), and at its least and largest value."""
    below = np.cumsum(column.cells.sum(axis=0))
    quantiles = np.searchsorted(below, below[-1] * np.arange(1, BINS) / BINS) + 1
    least, largest = np.searchsorted(below, 1), np.searchsorted(below, below[-1]) + 1
    cuts = np.unique([least, *quantiles, largest])
    cuts = cuts[(cuts > 0) & (cuts < len(below))]
    low, middle, high = (CENTRES[np.searchsorted(below, share * below[-1])] for share in (0.25, 0.5, 0.75))
    feature = FeatureProfile(
        name=name,
        kind="number",
        edges=tuple(EDGES[cuts - 1].tolist()),
        centre=float(middle),
        scale=float(high - low) / 1.349,
        windows=tuple(_numbers(column, cuts)),
    )
    return feature, Gauge(name=name, cuts=cuts, shown=NOTHING, unseen=NOTHING)


def _numbers(column: Column, cuts: Ints) -> list[Counts]:
    below = np.cumsum(column.cells, axis=1)
    bins = np.diff(below[:, cuts - 1], axis=1, prepend=0)
    outside = below[:, -1] - below[:, cuts[-1] - 1]
    rows = np.column_stack([bins, outside]).tolist()
    lows = CENTRES[(column.cells > 0).argmax(axis=1)]
    highs = CENTRES[::-1][(column.cells[:, ::-1] > 0).argmax(axis=1)]
    return [
        Counts(bins=tuple(row), nulls=int(nulls), low=float(low), high=float(high))
        for row, nulls, low, high in zip(rows, column.nulls, lows, highs, strict=True)
    ]


def _category(name: str, column: Column, size: int) -> tuple[FeatureProfile, Gauge]:
    total = column.cells.sum(axis=0)
    order = np.argsort(-total, kind="stable")
    occurring = order[total[order] > 0]
    alone = (column.cells > 0).sum(axis=0) == 1
    shown = occurring[:MOST_LEVELS]
    feature = FeatureProfile(
        name=name,
        kind="category",
        levels=tuple(f"level {level}" for level in shown),
        known=tuple(f"level {level}" for level in occurring[MOST_LEVELS:]) if size <= KNOWN else None,
        singletons=int((total == 1).sum()),
        windows=tuple(_levels(column, shown, novel=column.cells[:, alone].sum(axis=1))),
    )
    return feature, Gauge(name=name, cuts=None, shown=shown, unseen=np.flatnonzero(total == 0))


def _levels(column: Column, shown: Ints, *, novel: Ints) -> list[Counts]:
    kept = column.cells[:, shown]
    other = column.cells.sum(axis=1) - kept.sum(axis=1)
    return [
        Counts(bins=tuple(row), nulls=int(nulls), novel=int(new))
        for row, nulls, new in zip(np.column_stack([kept, other]).tolist(), column.nulls, novel, strict=True)
    ]
