"""Counts a monitoring window as its profile's reference was counted, in one pass. Counts only; judges nothing.

Counts add up: a window may be counted file by file or hour by hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from validation.watch.profile import NORMAL_QUARTILE_RANGE, Counts, FeatureProfile, Profile, count, kind_of


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
    """Count a window's rows, read once and streamed; other columns than the profile's are not looked at."""
    frame = rows.lazy().collect(engine="streaming")
    gone = {feature.name: text for feature in profile.features if (text := _gone(feature, frame))}
    counts = {}
    for feature in profile.features:
        empty = pl.Series([None] * frame.height, dtype=pl.Float64 if feature.kind == "number" else pl.String)
        counts[feature.name] = count(feature, empty if feature.name in gone else frame[feature.name])
    return WindowCounts(rows=frame.height, features=counts, gone=gone)


def merged(first: WindowCounts, second: WindowCounts) -> WindowCounts:
    """The counts of both together, counted by the same profile. A column is gone that no part with rows has."""
    features = {name: _added(counts, second.features[name]) for name, counts in first.features.items()}
    if not (first.rows and second.rows):
        gone = first.gone if first.rows else second.gone
    else:
        gone = {name: text for name, text in first.gone.items() if name in second.gone}
    return WindowCounts(rows=first.rows + second.rows, features=features, gone=gone)


def median(feature: FeatureProfile, counts: Counts) -> float | None:
    """Median of a number's finite values, interpolated inside its bin; None without any."""
    found = _quantiles(feature, counts, (0.5,))
    return None if found is None else found[0]


def spread(feature: FeatureProfile, counts: Counts) -> float | None:
    """Interquartile range / 1.349, the sd if the values were normal; None without finite values, or beyond floats."""
    found = _quantiles(feature, counts, (0.25, 0.75))
    scale = None if found is None else (found[1] - found[0]) / NORMAL_QUARTILE_RANGE
    return scale if scale is not None and np.isfinite(scale) else None


def _quantiles(feature: FeatureProfile, counts: Counts, shares: tuple[float, ...]) -> tuple[float, ...] | None:
    if counts.low is None or counts.high is None or not counts.present:
        return None
    ends = np.clip([counts.low, *feature.edges, counts.high], counts.low, counts.high)
    below = np.concatenate([[0.0], np.cumsum(counts.bins)]) / counts.present
    return tuple(float(value) for value in np.interp(shares, below, ends))


def _added(first: Counts, second: Counts) -> Counts:
    lows = [counts.low for counts in (first, second) if counts.low is not None]
    highs = [counts.high for counts in (first, second) if counts.high is not None]
    return Counts(
        bins=tuple(one + other for one, other in zip(first.bins, second.bins, strict=True)),
        nulls=first.nulls + second.nulls,
        novel=first.novel + second.novel,
        low=min(lows, default=None),
        high=max(highs, default=None),
        total=first.total + second.total,
    )


def _gone(feature: FeatureProfile, frame: pl.DataFrame) -> str | None:
    if feature.name not in frame.columns:
        return "has disappeared: the reference has it, this window does not"
    if kind_of(frame, feature.name) != feature.kind:
        return f"was a {feature.kind} and is {frame.schema[feature.name]} now"
    return None
