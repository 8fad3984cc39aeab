"""Faults done to a clean batch that keep its contract: the kinds that must be named, and where each of them fits.

A fault fits a column where it cannot be taken for what happens anyway: a factor beyond the range of medians and of
spreads of the last 20 batches ("clear" where that range, in logarithms, is at most half the factor, "close" otherwise),
nulls where they were few, a stuck value where there were many, swapped columns whose ranges of medians (or whose
values) have nothing in common.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from validation.batch_profile import BatchProfile, ColumnProfile

Change = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]
WINDOW = 20
FEW_NULLS = 0.05
MANY = 5  # distinct values, or a number is a code
MAX_PAIRS = 100
FACTORS = {
    "miles as kilometres": (1.609344, 0.0),
    "kilometres as miles": (1 / 1.609344, 0.0),
    "kilograms as pounds": (1 / 0.45359237, 0.0),
    "feet as metres": (0.3048, 0.0),
    "inches as centimetres": (2.54, 0.0),
    "ones as hundredths": (100.0, 0.0),
    "ones as thousands": (0.001, 0.0),
    "times 1.7": (1.7, 0.0),
    "by 5": (0.2, 0.0),
    "Fahrenheit as Celsius": (5 / 9, -160 / 9),
    "Celsius as Fahrenheit": (1.8, 32.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault that fits: what is done to which columns. `words`: one of them is in a sentence that names it rightly."""

    kind: str
    columns: tuple[str, ...]
    words: tuple[str, ...]
    change: Change


def fitting(profile: BatchProfile, before: Sequence[BatchProfile]) -> Iterator[Fault]:
    """All faults that fit this batch, after these."""
    past = {column.name: [] for column in profile.columns}  # type: dict[str, list[tuple[ColumnProfile, int]]]
    for batch in before[-WINDOW:]:
        for column in batch.columns:
            past[column.name].append((column, batch.rows))
    now = {column.name: column for column in profile.columns if column.seen >= 0.5 * profile.rows}
    for name, column in now.items():
        then = [each for each, _ in past[name]]
        if all(each.seen for each in then):
            yield from _of_one(column, then, null_share=max(each.nulls / rows for each, rows in past[name]))
    for one, two in list(combinations(sorted(now), 2))[:MAX_PAIRS]:
        if _differ([each for each, _ in past[one]], [each for each, _ in past[two]]):
            yield Fault(kind="swapped", columns=(one, two), words=("changed places",), change=_swap(one, two))


def _of_one(column: ColumnProfile, then: Sequence[ColumnProfile], *, null_share: float) -> Iterator[Fault]:
    name = column.name
    if null_share <= FEW_NULLS:
        yield Fault(kind="nulls, 30 %", columns=(name,), words=("missing",), change=_nulls(name))
    if min(each.distinct for each in then) >= 10 and max(each.top for each in then) <= 0.3:
        yield Fault(kind="stuck, all", columns=(name,), words=("hangs",), change=_stuck(name, share=1.0))
        yield Fault(kind="stuck, a run of 70 %", columns=(name,), words=("hangs",), change=_stuck(name, share=0.7))
    if column.kind == "text" and any(value != value.lower() for value, _ in column.shares):
        yield Fault(kind="other case", columns=(name,), words=("case", "shape"), change=_case(name))
    reach = _reach(then) if column.kind == "number" and min(each.distinct for each in then) >= MANY else None
    for factor, offset in FACTORS.values():
        size = abs(np.log(factor))
        if reach is not None and reach < size:
            yield Fault(
                kind="unit, clear" if 2 * reach <= size else "unit, close",
                columns=(name,),
                words=("came before", "unit"),
                change=_scale(name, factor, offset),
            )


def _reach(then: Sequence[ColumnProfile]) -> float | None:
    """Logarithm of largest over smallest median, or spread, whichever is more; None when there is no such ratio."""
    medians = np.array([each.quantiles[4] for each in then])
    spreads = np.array([each.quantiles[6] - each.quantiles[2] for each in then])
    if (spreads <= 0).any() or not ((medians > 0).all() or (medians < 0).all()):
        return None
    return float(max(np.ptp(np.log(np.abs(medians))), np.ptp(np.log(spreads))))


def _differ(one: Sequence[ColumnProfile], two: Sequence[ColumnProfile]) -> bool:
    if {each.kind for each in (*one, *two)} == {"number"} and all(each.seen for each in (*one, *two)):
        medians = [[each.quantiles[4] for each in batches] for batches in (one, two)]
        widths = [max(each.quantiles[6] - each.quantiles[2] for each in batches) for batches in (one, two)]
        (low, high) = sorted(medians, key=max)
        return max(widths) > 0 and min(high) - max(low) > 0.5 * min(widths) and min(widths) > 0
    if {each.kind for each in (*one, *two)} == {"text"}:
        values = [{value for each in batches for value, _ in each.shares} for batches in (one, two)]
        return bool(values[0] and values[1]) and not values[0] & values[1]
    return False


def _nulls(name: str) -> Change:
    return lambda frame, rng: frame.with_columns(
        pl.when(pl.Series(rng.random(frame.height) >= 0.3)).then(pl.col(name)).alias(name)
    )


def _stuck(name: str, *, share: float) -> Change:
    def change(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        present = frame[name].drop_nulls()
        value, start = present[int(rng.integers(len(present)))], int(rng.integers(int(frame.height * (1 - share)) + 1))
        hit = pl.int_range(pl.len()).is_between(start, start + int(frame.height * share))
        return frame.with_columns(pl.when(hit).then(pl.lit(value, frame.schema[name])).otherwise(name).alias(name))

    return change


def _case(name: str) -> Change:
    return lambda frame, _: frame.with_columns(pl.col(name).str.to_lowercase())


def _scale(name: str, factor: float, offset: float) -> Change:
    return lambda frame, _: frame.with_columns(pl.col(name) * factor + offset)


def _swap(one: str, two: str) -> Change:
    return lambda frame, _: frame.with_columns(pl.col(two).alias(one), pl.col(one).alias(two))
