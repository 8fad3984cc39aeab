"""The compact reference that drift is measured against: made once, when a champion is. Counts only; judges nothing.

Numbers and booleans, strings and categories are profiled; moments and nested columns are not (they move with time, or
have no order). NaN counts as null. Numbers are counted on 32 bins of equal reference mass, and one bin on either side
for what the reference never had; strings on their 50 most frequent levels and "other".
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf, nextafter

import numpy as np
import numpy.typing as npt
import polars as pl

from validation.watch.counting import kind_of
from validation.watch.reference import NORMAL_QUARTILE_RANGE, Counts, FeatureProfile, Profile, finite

__all__ = ["BINS", "KNOWN", "LEVELS", "Counts", "FeatureProfile", "Profile", "as_profiled", "build_profile"]

BINS = 32
LEVELS = 50
KNOWN = 1_000  # a column with more levels than this gets new values every day: they are not judged
KNOWN_CHARACTERS = 50_000  # nor are they when the levels are texts that would make the profile large

Floats = npt.NDArray[np.float64]


def build_profile(frame: pl.DataFrame, *, time: str, every: timedelta, windows: int, until: datetime) -> Profile:
    """Profile all columns but `time` over the `windows` windows of length `every` before `until`."""
    since = until - windows * every
    index = (pl.col(time) - since).dt.total_microseconds() // (every // timedelta(microseconds=1))
    rows = frame.filter(pl.col(time) >= since, pl.col(time) < until).with_columns(_window=index)
    features = [
        _numbers(rows, name, windows) if kind == "number" else _levels(rows, name, windows)
        for name, dtype in frame.schema.items()
        if name != time and (kind := kind_of(dtype))
    ]
    return Profile(until=until.isoformat(), every_seconds=every.total_seconds(), features=tuple(features))


def as_profiled(predictions: pl.Series) -> pl.Series:
    """A model's predictions as a column to be profiled: numbers as they are, of several classes the most probable."""
    return predictions.list.arg_max().cast(pl.String) if isinstance(predictions.dtype, pl.List) else predictions


def _numbers(rows: pl.DataFrame, name: str, windows: int) -> FeatureProfile:
    values = rows.select(pl.col(name).cast(pl.Float64).fill_nan(None).alias("value"), "_window").sort("value")
    present = values.drop_nulls()
    edges = _edges(present["value"].to_numpy())
    centre, scale = _location(present["value"].to_numpy())
    parts = present.partition_by("_window", as_dict=True, maintain_order=True)
    found = {int(key[0]): part["value"].to_numpy() for key, part in parts.items()}
    sizes = dict(rows["_window"].value_counts().iter_rows())
    counts = tuple(
        _count_sorted(found.get(window, np.empty(0)), edges, rows=sizes.get(window, 0)) for window in range(windows)
    )
    return FeatureProfile(name=name, kind="number", edges=edges, centre=centre, scale=scale, windows=counts)


def _edges(ordered: Floats) -> tuple[float, ...]:
    """Bin edges: just below the smallest value, at the inner quantiles, and at the largest value."""
    usable = ordered[np.isfinite(ordered)]
    if not len(usable):
        return ()
    inner = usable[np.ceil(np.arange(1, BINS) / BINS * len(usable)).astype(np.int64) - 1]
    below = nextafter(usable[0], -inf) if usable[0] > -np.finfo(np.float64).max else usable[0]
    return tuple(np.unique([below, *inner, usable[-1]]).tolist())


def _location(ordered: Floats) -> tuple[float | None, float | None]:
    """Median, and the sd or quartile range / 1.349, whichever is larger: rain falls on few days. None if not finite."""
    usable = ordered[np.isfinite(ordered)]
    if not len(usable):
        return None, None
    low, centre, high = np.quantile(usable, (0.25, 0.5, 0.75))
    with np.errstate(over="ignore", invalid="ignore"):
        scale = max((high - low) / NORMAL_QUARTILE_RANGE, usable.std())
    return finite(float(centre)), finite(float(scale))


def _count_sorted(ordered: Floats, edges: Sequence[float], *, rows: int) -> Counts:
    """One window's values, in order and without nulls, on the edges: the same as `counting.count_window` finds."""
    below = np.searchsorted(ordered, edges, side="right").tolist()
    usable = ordered[np.isfinite(ordered)]
    return Counts(
        bins=tuple(np.diff([0, *below, len(ordered)]).tolist()),
        nulls=rows - len(ordered),
        low=finite(float(usable[0])) if len(usable) else None,
        high=finite(float(usable[-1])) if len(usable) else None,
    )


def _levels(rows: pl.DataFrame, name: str, windows: int) -> FeatureProfile:
    cells = rows.select(pl.col(name).cast(pl.String).alias("value"), "_window").group_by("value", "_window").len()
    levels = (
        cells.drop_nulls("value")
        .group_by("value")
        .agg(rows=pl.col("len").sum(), windows=pl.len())
        .sort(["rows", "value"], descending=[True, False])
    )
    names = levels["value"].to_list()
    few = len(names) <= KNOWN and sum(map(len, names)) <= KNOWN_CHARACTERS
    top = names[:LEVELS]
    return FeatureProfile(
        name=name,
        kind="category",
        levels=tuple(top),
        known=tuple(sorted(names[LEVELS:])) if few else None,
        singletons=int((levels["rows"] == 1).sum()),
        windows=_count_cells(cells, top, alone=levels.filter(pl.lit(few), windows=1)["value"], windows=windows),
    )


def _count_cells(cells: pl.DataFrame, top: Sequence[str], *, alone: pl.Series, windows: int) -> tuple[Counts, ...]:
    """Each window's levels from the rows of each level in each window; `alone`: the levels of one window only."""
    places = pl.DataFrame({"value": top, "place": range(len(top))}, schema={"value": pl.String, "place": pl.Int64})
    placed = cells.join(places, on="value", how="left").with_columns(
        novel=pl.col("value").is_in(alone.implode()).fill_null(value=False),
        place=pl.when(pl.col("value").is_null()).then(len(top) + 1).otherwise(pl.col("place").fill_null(len(top))),
    )
    table, novel = np.zeros((windows, len(top) + 2), dtype=np.int64), np.zeros(windows, dtype=np.int64)
    np.add.at(table, (placed["_window"].to_numpy(), placed["place"].to_numpy()), placed["len"].to_numpy())
    fresh = placed.filter("novel")
    np.add.at(novel, fresh["_window"].to_numpy(), fresh["len"].to_numpy())
    return tuple(
        Counts(bins=tuple(row[:-1]), nulls=row[-1], novel=new)
        for row, new in zip(table.tolist(), novel.tolist(), strict=True)
    )
