"""The peers' default rules on the same windows of real rows, champion by champion.

- Evidently 0.7, a reference of more than 1,000 rows: Wasserstein distance over the reference's sd (numbers of more than
  five values), Jensen-Shannon distance to base e (all others), each from 0.1. "any column", and its dataset rule: half
  of the columns.
- NannyML 0.13: Jensen-Shannon distance to base 2 on Doane's bins or all levels, outside mean +- 3 sd of the reference's
  windows. "any column", and "prediction": the score's column alone.

Rows without a value are left out, as they do it. The prediction is a column.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from benchmarks.alarms_rivals import DATASET_SHARE, EVIDENTLY, SIGMAS, nannyml
from benchmarks.gate_real_weeks import Floats
from validation.watch.drift import PREDICTION

FEW_VALUES = 5  # of a number: Evidently takes it for a category
RULES = ("Evidently, any column", "Evidently, half of the columns", "NannyML, any column", "NannyML, prediction")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A column's reference as the peers keep it: a number's `values`, and `windows` as counts of cells.

    `few`: of a number with so few values that Evidently takes it for a category.
    """

    name: str
    edges: Floats | None
    levels: Sequence[str]
    values: Floats
    windows: "np.ndarray[tuple[int, int], np.dtype[np.int64]]"
    few: bool = False

    @classmethod
    def of(cls, values: pl.Series, window: pl.Series) -> "Column":
        """From all reference rows and the number of each one's window."""
        present = values.is_not_null()
        values, window = values.filter(present), window.filter(present)
        number = values.dtype.is_numeric()
        plain = values.to_numpy().astype(np.float64) if number else np.empty(0)
        edges = np.histogram_bin_edges(plain, bins="doane") if number and len(plain) else None
        levels = sorted(set(values.cast(pl.String).to_list())) if edges is None else ()
        made = cls(name=values.name, edges=edges, levels=levels, values=plain, windows=np.empty((0, 0), dtype=np.int64))
        parts = [made.counted(values.filter(window == number)) for number in sorted(set(window.to_list()))]
        few = edges is not None and len(np.unique(plain)) <= FEW_VALUES
        return cls(name=values.name, edges=edges, levels=levels, values=plain, windows=np.stack(parts), few=few)

    def counted(self, values: pl.Series) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Rows in each cell; the last cell is for what the reference never had."""
        values = values.drop_nulls()
        if self.edges is None:
            found = dict(values.cast(pl.String).value_counts().iter_rows())
            inside = [found.get(level, 0) for level in self.levels]
            return np.asarray([*inside, values.len() - sum(inside)], dtype=np.int64)
        counts, _ = np.histogram(values.to_numpy().astype(np.float64), bins=self.edges)
        return np.append(counts, values.len() - counts.sum())

    def evidently(self, values: pl.Series) -> bool:
        """Is it drifted?"""
        values = values.drop_nulls()
        if not values.len():
            return False
        if self.edges is not None and not self.few:
            far = wasserstein_distance(self.values, values.to_numpy()) / max(self.values.std(), 1e-3)
        elif self.edges is not None:
            levels = np.union1d(self.values, values.to_numpy())
            far = jensenshannon(*(np.asarray([(part == level).mean() for level in levels])
                                  for part in (self.values, values.to_numpy())))  # fmt: skip
        else:
            far = jensenshannon(self.windows.sum(axis=0), self.counted(values))
        return bool(far >= EVIDENTLY)

    def nannyml(self, values: pl.Series) -> bool:
        """Is its distance an alert?"""
        if not values.drop_nulls().len():
            return False
        with np.errstate(
            invalid="ignore", divide="ignore"
        ):  # a column that never moved: whatever moves is infinitely far
            far = nannyml(self.windows, self.counted(values)[None, :], number=False)[0]
        return bool(far > SIGMAS)


def columns_of(reference: pl.DataFrame, window: pl.Series) -> list[Column]:
    """Of all columns that have a value."""
    return [
        Column.of(reference[name], window) for name in reference.columns if reference[name].null_count() < len(window)
    ]


def flags(columns: Sequence[Column], days: Sequence[pl.DataFrame]) -> Iterator[dict[str, bool]]:
    """By rule, of each day: does it alarm?"""
    for day in days:
        evidently = {column.name: column.evidently(day[column.name]) for column in columns}
        nanny = {column.name: column.nannyml(day[column.name]) for column in columns}
        found = (
            any(evidently.values()),
            sum(evidently.values()) >= DATASET_SHARE * len(columns),
            any(nanny.values()),
            nanny.get(PREDICTION, False),
        )
        yield dict(zip(RULES, found, strict=True))
