"""The compact reference that drift is measured against: counts per bin and window. Counts only; judges nothing.

Numbers and booleans, strings and categories are profiled; moments and nested columns are not (they move with time, or
have no order). NaN counts as null. Numbers are counted on 32 bins of equal reference mass, and one bin on either side
for what the reference never had; strings on their 50 most frequent levels and "other".
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from math import inf, nextafter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

BINS = 32
LEVELS = 50
KNOWN = 1_000  # a column with more levels than this gets new values every day: they are not judged
NORMAL_QUARTILE_RANGE = 1.349  # interquartile range of a standard normal: makes it an estimate of the sd


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """One feature in one window: rows in each bin (numbers) or in each level and "other" (categories), and nulls.

    `novel`: rows whose level the reference never had; of a reference window: that occurs in no other window. `low`,
    `high`, `total`: least, largest and sum of a number's finite values.
    """

    bins: tuple[int, ...]
    nulls: int
    novel: int = 0
    low: float | None = None
    high: float | None = None
    total: float = 0.0
    centre: float | None = None  # NOTE: centre and scale go away, see `counting.median` and `spread`
    scale: float | None = None

    @property
    def present(self) -> int:
        """Rows that are not null."""
        return sum(self.bins)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.present + self.nulls


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureProfile:
    """One feature in the reference. Bin i of a number holds values in (edges[i - 1], edges[i]].

    `levels` are counted one by one; `known` are the other levels that occur, None when there are too many of them.
    `singletons`: levels that occur in one row only. `windows`: oldest first, empty ones included. `centre`, `scale`:
    median and spread of all values.
    """

    name: str
    kind: Literal["number", "category"]
    windows: tuple[Counts, ...]
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    known: tuple[str, ...] | None = ()
    singletons: int = 0
    centre: float | None = None
    scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All features, over windows of `every_seconds` that end at `until` (ISO 8601); tens of kB as JSON."""

    until: str
    every_seconds: float
    features: tuple[FeatureProfile, ...]

    @property
    def starts(self) -> tuple[datetime, ...]:
        """When each reference window starts, oldest first."""
        until, every = datetime.fromisoformat(self.until), timedelta(seconds=self.every_seconds)
        windows = max((len(feature.windows) for feature in self.features), default=0)
        return tuple(until - (windows - index) * every for index in range(windows))

    def to_json(self) -> str:
        """Compact JSON text; `from_json` gives an equal value back."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        """Read what `to_json` wrote."""
        raw = json.loads(text)
        features = [
            _thaw(FeatureProfile, item | {"windows": tuple(_thaw(Counts, counts) for counts in item["windows"])})
            for item in raw["features"]
        ]
        return cls(until=raw["until"], every_seconds=raw["every_seconds"], features=tuple(features))


def build_profile(frame: pl.DataFrame, *, time: str, every: timedelta, windows: int, until: datetime) -> Profile:
    """Profile all columns but `time` over the `windows` windows of length `every` before `until`."""
    since = until - windows * every
    index = (pl.col(time) - since).dt.total_microseconds() // (every // timedelta(microseconds=1))
    rows = frame.filter(pl.col(time) >= since, pl.col(time) < until).with_columns(_window=index)
    features = [_profile(rows, name, windows) for name in frame.columns if name != time and kind_of(frame, name)]
    return Profile(until=until.isoformat(), every_seconds=every.total_seconds(), features=tuple(features))


def kind_of(frame: pl.DataFrame, name: str) -> Literal["number", "category"] | None:
    """How a column is profiled; None: not at all."""
    dtype = frame.schema[name]
    if dtype.is_numeric():
        return "number"
    return "category" if isinstance(dtype, pl.Boolean | pl.String | pl.Categorical | pl.Enum) else None


def as_profiled(predictions: pl.Series) -> pl.Series:
    """A model's predictions as a column to be profiled: numbers as they are, of several classes the most probable."""
    return predictions.list.arg_max().cast(pl.String) if isinstance(predictions.dtype, pl.List) else predictions


def count(feature: FeatureProfile, values: pl.Series) -> Counts:
    """Count one window's values of a feature as the reference was counted; they must be of the feature's kind."""
    series = _clean(values, feature.kind)
    if feature.kind == "number":
        return _count_numbers(series, feature.edges)
    return _count_levels(series, feature.levels, new=_new_values(series, feature))


def _profile(rows: pl.DataFrame, name: str, windows: int) -> FeatureProfile:
    kind = kind_of(rows, name) or "category"
    column = pl.DataFrame([_clean(rows[name], kind).alias("value"), rows["_window"]])
    parts = {int(key[0]): part["value"] for key, part in column.partition_by("_window", as_dict=True).items()}
    series = [parts.get(window, pl.Series([], dtype=column.schema["value"])) for window in range(windows)]
    if kind == "number":
        edges = _edges(column["value"])
        centre, scale = _location(column["value"])
        counts = tuple(_count_numbers(values, edges) for values in series)
        return FeatureProfile(name=name, kind=kind, edges=edges, centre=centre, scale=scale, windows=counts)
    return _profile_levels(name, column, series)


def _profile_levels(name: str, column: pl.DataFrame, series: Sequence[pl.Series]) -> FeatureProfile:
    occurring = column.drop_nulls("value").group_by("value")
    levels = occurring.agg(rows=pl.len(), windows=pl.col("_window").n_unique()).sort(
        ["rows", "value"], descending=[True, False]
    )
    names = levels["value"].to_list()
    alone = levels.filter(windows=1)["value"] if len(names) <= KNOWN else pl.Series([], dtype=pl.String)
    top = tuple(names[:LEVELS])
    return FeatureProfile(
        name=name,
        kind="category",
        levels=top,
        known=tuple(sorted(names[LEVELS:])) if len(names) <= KNOWN else None,
        singletons=int((levels["rows"] == 1).sum()),
        windows=tuple(_count_levels(values, top, new=alone) for values in series),
    )


def _clean(values: pl.Series, kind: str) -> pl.Series:
    return values.cast(pl.Float64).fill_nan(None) if kind == "number" else values.cast(pl.String)


def _edges(values: pl.Series) -> tuple[float, ...]:
    """Bin edges: just below the smallest value, at the inner quantiles, and at the largest value."""
    finite = _finite(values)
    if not len(finite):
        return ()
    inner = np.quantile(finite, np.arange(1, BINS) / BINS, method="inverted_cdf")
    below = nextafter(finite[0], -inf) if finite[0] > -np.finfo(np.float64).max else finite[0]
    return tuple(np.unique([below, *inner, finite[-1]]).tolist())


def _finite(values: pl.Series) -> npt.NDArray[np.float64]:
    """Sorted, so that sums do not depend on the order of rows."""
    present = values.drop_nulls().to_numpy()
    return np.sort(present[np.isfinite(present)])


def _location(values: pl.Series) -> tuple[float | None, float | None]:
    """Median, and the sd or quartile range / 1.349, whichever is larger: rain falls on few days. None if not finite."""
    finite = _finite(values)
    if not len(finite):
        return None, None
    low, centre, high = np.quantile(finite, (0.25, 0.5, 0.75))
    with np.errstate(over="ignore", invalid="ignore"):
        scale = max((high - low) / NORMAL_QUARTILE_RANGE, finite.std())
    return float(centre), float(scale) if np.isfinite(scale) else None


def _count_numbers(values: pl.Series, edges: Sequence[float]) -> Counts:
    """`sum(column <= edge)` for each edge: the fastest form that was measured (research/drift.md, 2)."""
    below = [int((values <= edge).sum()) for edge in edges]
    present = values.len() - values.null_count()
    bins = np.diff([0, *below, present]).tolist()
    finite = _finite(values)
    low, centre, high = (values.quantile(share, "linear") for share in (0.25, 0.5, 0.75))
    scale = None if low is None or high is None else (high - low) / NORMAL_QUARTILE_RANGE
    usable = centre is not None and np.isfinite(centre) and scale is not None and np.isfinite(scale)
    return Counts(
        bins=tuple(bins),
        nulls=values.null_count(),
        low=float(finite[0]) if len(finite) else None,
        high=float(finite[-1]) if len(finite) else None,
        total=float(finite.sum()),
        centre=centre if usable else None,
        scale=scale if usable else None,
    )


def _count_levels(values: pl.Series, levels: Sequence[str], *, new: pl.Series) -> Counts:
    found = dict(values.drop_nulls().value_counts().iter_rows())
    shown = [int(found.get(level, 0)) for level in levels]
    other = values.len() - values.null_count() - sum(shown)
    novel = sum(int(found.get(level, 0)) for level in new.to_list())
    return Counts(bins=(*shown, other), nulls=values.null_count(), novel=novel)


def _new_values(values: pl.Series, feature: FeatureProfile) -> pl.Series:
    if feature.known is None:
        return pl.Series([], dtype=pl.String)
    known = pl.Series([*feature.levels, *feature.known], dtype=pl.String)
    unique = values.drop_nulls().unique()
    return unique.filter(~unique.is_in(known.implode()))


def _thaw(kind: type[Any], raw: dict[str, Any]) -> Any:
    """A frozen value from its JSON: lists become tuples again; what was written before a field was there lacks it."""
    known = {f.name: raw[f.name] for f in fields(kind) if f.name in raw}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})
