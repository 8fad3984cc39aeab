"""The rows that drift is looked for in: numbers and levels of several shapes, over sixty days, then one window more.

python -m benchmarks.drift_data reference|current FILE ROWS NUMBERS CATEGORIES

The window differs from the reference in two columns, which a monitor should name: `x1` moves by half a standard
deviation, and 3 % of the rows of `c1` have the wrong one of its levels. All else is drawn as before.
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

TIME = "at"
DAYS = 60
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=DAYS)
DRIFTED = {"x1": 0.5, "c1": 0.1}  # in standard deviations; as a share of the rows
NULLS = 0.05  # in every third column
LEVELS = (2, 3, 5, 10, 20, 50, 100, 200, 500, 1_000)
_PART = 1_000_000  # rows that are made at a time


def frame(rows: int, *, numbers: int, categories: int, seed: int, drift: Mapping[str, float]) -> pl.DataFrame:
    """`numbers` columns x0, x1, ... and `categories` columns c0, c1, ... whose levels are Zipf distributed."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(list(_columns(rows, numbers, categories, rng, drift)))


def write(path: Path, rows: int, *, numbers: int, categories: int, reference: bool) -> None:
    """A file of `rows` rows; the reference has the time beside, the same number of rows every day."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = path.with_suffix("")
    parts.mkdir(exist_ok=True)
    for number, start in enumerate(range(0, rows, _PART)):
        size = min(_PART, rows - start)
        made = frame(
            size,
            numbers=numbers,
            categories=categories,
            seed=2 * number + reference,
            drift={} if reference else DRIFTED,
        )
        if reference:
            made = made.with_columns(_days(size))
        made.write_parquet(parts / f"{number:03}.parquet")
    pl.scan_parquet(parts / "*.parquet").sink_parquet(path)


def _days(rows: int) -> pl.Series:
    day = np.arange(rows) * DAYS // rows
    moments = pl.datetime_range(SINCE, UNTIL, timedelta(days=1), closed="left", eager=True, time_unit="us")
    return moments.gather(day).alias(TIME)


def _columns(
    rows: int, numbers: int, categories: int, rng: np.random.Generator, drift: Mapping[str, float]
) -> Iterator[pl.Series]:
    for place in range(numbers):
        values = rng.standard_normal(rows) + drift.get(f"x{place}", 0.0)
        yield _with_nulls(pl.Series(f"x{place}", np.exp(values) if place % 4 == 2 else values), place, rng)
    for place in range(categories):
        levels = LEVELS[place % len(LEVELS)]
        weights = 1 / np.arange(1, levels + 1)
        codes = rng.choice(levels, rows, p=weights / weights.sum())
        codes[rng.random(rows) < drift.get(f"c{place}", 0.0)] = levels - 1
        names = pl.Series(f"c{place}", [f"level {level}" for level in range(levels)])
        yield _with_nulls(names.gather(codes), place, rng)


def _with_nulls(values: pl.Series, place: int, rng: np.random.Generator) -> pl.Series:
    if place % 3:
        return values
    return values.set(pl.Series(rng.random(len(values)) < NULLS), None)


if __name__ == "__main__":
    what, file, *sizes = sys.argv[1:]
    height, wide, levelled = map(int, sizes)
    write(Path(file), height, numbers=wide, categories=levelled, reference=what == "reference")
