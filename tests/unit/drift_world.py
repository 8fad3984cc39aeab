"""Days of rows to be judged: standard normal numbers and categories whose days differ a little, as days do."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from validation.watch.counting import count_window
from validation.watch.drift import Drift, DriftVerdict, Profile, Seen, build_profile, judge

NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def days_of(columns: dict[str, Any], *, days: int, first: datetime = NEW_YEAR) -> pl.DataFrame:
    """Columns of `days` equal parts, one part per day."""
    rows = len(next(iter(columns.values()))) // days
    moments = pl.datetime_range(first, first + days * DAY, DAY, closed="left", eager=True, time_unit="us")
    return pl.DataFrame({"at": moments.gather(np.repeat(np.arange(days), rows)), **columns})


def numbers(
    seed: int, *, days: int, rows: int, features: int = 1, day_sd: float = 0.05, first: datetime = NEW_YEAR
) -> pl.DataFrame:
    """Standard normal features whose days differ in their mean, as days do."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(0, day_sd, (days, 1, features))
    values = (mean + rng.standard_normal((days, rows, features))).reshape(-1, features)
    return days_of({f"x{index}": values[:, index] for index in range(features)}, days=days, first=first)


def profiled(frame: pl.DataFrame, *, windows: int = 30) -> Profile:
    return build_profile(frame, time="at", every=DAY, windows=windows, until=NEW_YEAR + windows * DAY)


def judged(profile: Profile, frame: pl.DataFrame, *previous: str, policy: Drift | None = None) -> DriftVerdict:
    """The verdict on the day after a profile of 30 days, after these outcomes on the days before."""
    start = NEW_YEAR + 30 * DAY
    first = start - len(previous) * DAY
    seen = [Seen(start=first + index * DAY, outcome=outcome) for index, outcome in enumerate(previous)]
    return judged_after(profile, frame, start, seen, policy=policy)


def judged_after(
    profile: Profile, frame: pl.DataFrame, start: datetime, previous: Sequence[Seen], *, policy: Drift | None = None
) -> DriftVerdict:
    """The verdict on a day's rows."""
    return judge(
        profile,
        count_window(frame, profile),
        pipeline="flights",
        window_start=start,
        policy=policy or Drift(),
        previous=previous,
        as_of=start + DAY,
    )


def world(seed: int, *, days: int, rows: int) -> pl.DataFrame:
    """Ten numbers and four categories of 2 to 300 levels; means, mixes and null shares move from day to day."""
    rng = np.random.default_rng(seed)
    frame = numbers(seed, days=days, rows=rows, features=10)
    nulls = np.repeat(1 / (1 + np.exp(3 + rng.normal(0, 0.1, days))), rows)
    columns = {"x0": frame["x0"].to_numpy().copy()}
    columns["x0"][rng.random(days * rows) < nulls] = np.nan
    for levels in (2, 20, 60, 300):
        shares = np.exp(rng.normal(0, 0.1, (days, levels))) / np.arange(1, levels + 1)
        drawn = [rng.choice(levels, rows, p=share / share.sum()) for share in shares]
        columns[f"c{levels}"] = np.char.add("l", np.concatenate(drawn).astype(str))
    return frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()})
