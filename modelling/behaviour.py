"""Does a model keep the behaviour that its pipeline declares? Raw columns are changed, and the model is asked again.

The changed rows run through the model's own `features`, as any request does.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from validation.behaviour import BehaviourResult, Check, Monotone, check_columns
from validation.errors import AndonError

MAX_ROWS = 2_000  # evenly spaced rows that are asked; more would not say more

Rows = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class Predictor(Protocol):
    """A model or a bundle: raw rows in, predictions out."""

    def predict(self, raw: pl.DataFrame) -> Numbers:
        """One prediction for each row, (n,), or its class probabilities, (n, k)."""


def measure(checks: Sequence[Check], model: Predictor, rows: pl.DataFrame) -> tuple[BehaviourResult, ...]:
    """Each check's share of violations on at most MAX_ROWS evenly spaced raw rows; the same for the same rows.

    A check that moves no row (a column of one value, of nulls, no rows) is ok and says that it measured nothing. One
    on whose changed rows the model fails is not. DefinitionError when the rows lack a column, or its type is wrong.
    """
    check_columns(checks, rows.schema)
    sample = rows.gather_every(max(1, -(-rows.height // MAX_ROWS)))
    return tuple(_measure(check, model, sample) for check in checks)


def _measure(check: Check, model: Predictor, rows: pl.DataFrame) -> BehaviourResult:
    name = str(check)
    if rows.is_empty() or not (frames := _frames(check, rows)):
        why = f"{name}: not measured, {check.column} has no two values to compare in {rows.height:,} rows"
        return BehaviourResult(check=name, ok=True, violations=0.0, reason=why)
    try:
        answers = [np.asarray(model.predict(frame), dtype=np.float64) for frame in frames]
    except AndonError as failure:
        why = f"{name}: the model fails on the changed rows, so nothing is known: {failure}"[:500]
        return BehaviourResult(check=name, ok=False, violations=1.0, reason=why)
    moved, broken = _compare(check, frames, answers)
    share = int(broken.sum()) / int(moved.sum())
    return BehaviourResult(
        check=name,
        ok=share <= check.max_violations,
        violations=share,
        reason=_in_words(check, share, int(moved.sum())),
        rows=int(moved.sum()),
    )


def _compare(check: Check, frames: Sequence[pl.DataFrame], answers: Sequence[Numbers]) -> tuple[Rows, Rows]:
    """The rows that were moved by any change, and those that broke the check at any."""
    numbers = range(len(frames))
    pairs = list(pairwise(numbers)) if isinstance(check, Monotone) else [(0, number) for number in numbers[1:]]
    moved = [frames[one][check.column].ne_missing(frames[two][check.column]).to_numpy() for one, two in pairs]
    broken = [_breaks(check, answers[one], answers[two]) for one, two in pairs]
    return np.any(moved, axis=0), np.any(np.logical_and(moved, broken), axis=0)


def _breaks(check: Check, before: Numbers, after: Numbers) -> Rows:
    """Where the prediction does what it must not; an answer that is no number does."""
    with np.errstate(invalid="ignore"):
        change = after - before
    if isinstance(check, Monotone):
        wrong = -change if check.direction == "increasing" else change
    else:
        wrong = np.abs(change).reshape(len(change), -1).max(axis=1)
    return np.asarray(~(wrong <= check.tolerance))


def _frames(check: Check, rows: pl.DataFrame) -> list[pl.DataFrame]:
    """The rows with the column as it is compared, in this order; none when no change moves a row."""
    column = rows[check.column]
    if isinstance(check, Monotone):
        series = [_filled(column, value) for value in check.values] or [column, _raised(column, check.step)]
    else:
        series = [column, *([_filled(column, value) for value in check.values] or [_swapped(column)])]
    if not any(one.ne_missing(series[0]).any() for one in series[1:]):
        return []
    return [rows.with_columns(one) for one in series]


def _filled(column: pl.Series, value: Any) -> pl.Series:
    return pl.Series(column.name, [value], dtype=column.dtype).new_from_index(0, len(column))


def _raised(column: pl.Series, step: float) -> pl.Series:
    """Each value higher by `step` interquartile ranges, but none beyond the largest; nulls and nan stay."""
    name, dtype = column.name, column.dtype
    known = column.drop_nulls()
    known = known.filter(known.is_finite()) if dtype.is_float() else known
    if known.is_empty():
        return column
    numbers = known.to_numpy().astype(np.float64)
    low, high = np.quantile(numbers, (0.25, 0.75))
    spread = step * float(high - low or numbers.std())  # half of all may be one value
    wide, rise = (pl.Float64, spread) if dtype.is_float() else (pl.Int64, max(1, round(spread)))
    value = pl.col(name).cast(wide)
    top = pl.lit(known.max(), dtype=wide)
    raised = pl.when(value < top).then(pl.min_horizontal(value + rise, top)).otherwise(value)
    return column.to_frame().select(raised.cast(dtype).alias(name))[name]


def _swapped(column: pl.Series) -> pl.Series:
    """The same values in other rows: each row gets the one that is half of all rows further in their order."""
    order = column.arg_sort().to_numpy()
    source = np.empty_like(order)
    source[order] = np.roll(order, -(len(order) // 2))
    return column.gather(source)


def _in_words(check: Check, share: float, rows: int) -> str:
    does = "moves the wrong way" if isinstance(check, Monotone) else "changes"
    return (
        f"{check}: the prediction {does} by more than {check.tolerance:g} on {share:.1%} of {rows:,} changed rows, "
        f"at most {check.max_violations:.1%} are allowed"
    )
