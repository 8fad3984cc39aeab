from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.intervals import paired_interval
from validation.slices import SliceGain, judge_slices

Array = np.ndarray[Any, np.dtype[np.float64]]
DAYS = np.repeat(np.arange(21), 100)


def judged(gain: Array, values: Any, *, days: Any = DAYS, alpha: float = 0.05, min_rows: int = 50) -> Any:
    return judge_slices(gain, days, {"origin": values}, alpha=alpha, min_rows=min_rows)


def like_days(rng: np.random.Generator, *, days: int, per_day: int, correlation: float) -> Array:
    """Gains of nothing: a level for each day, alike from day to day, and as much noise in each row's tenfold."""
    level = rng.normal(size=days)
    for day in range(1, days):
        level[day] = correlation * level[day - 1] + np.sqrt(1 - correlation**2) * level[day]
    return np.asarray(np.repeat(level, per_day) * 0.3 + rng.normal(size=days * per_day))


@pytest.mark.parametrize(("days", "correlation", "blocked"), [(14, 0.0, 10), (14, 0.4, 17), (60, 0.4, 40)])
def test_a_challenger_that_is_worse_nowhere_is_seldom_blocked(days: int, correlation: float, blocked: int) -> None:
    """1,000 challengers, three columns of 4, 8 and 16 uneven values, levels that move from day to day in all of them:
    at most one in twenty may be blocked. Golden: how many are.
    """
    rng, found = np.random.default_rng(23), 0
    names = np.repeat(np.arange(days), 40)
    for _ in range(1_000):
        gain = like_days(rng, days=days, per_day=40, correlation=correlation)
        slices = {str(count): (rng.random(len(gain)) ** 2 * count).astype(int).tolist() for count in (4, 8, 16)}
        found += judge_slices(gain, names, slices, alpha=0.05, min_rows=20)[0].worse
    assert found == blocked
    assert found <= 50


def test_every_slice_that_is_surely_worse_is_found_not_only_the_worst() -> None:
    """Holm: after one is proven, the others are held against a larger level. Golden: Bonferroni would find one."""
    rng = np.random.default_rng(3)
    values = np.tile(["a", "b", "c"], 700)
    gain = rng.normal(0, 0.1, 2_100) - np.select([values == "a", values == "b"], [0.05, 0.0157], 0.0)
    found = judged(gain, values)
    assert [(item.value, item.worse) for item in found] == [("a", True), ("b", True), ("c", False)]
    alone = paired_interval(gain[values == "b"], DAYS[values == "b"], alpha=0.05 / 3)
    assert alone.upper > 0


def test_a_slice_is_worse_when_its_own_upper_bound_is_below_nothing() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        gain, values = rng.normal(-0.01, 0.1, 2_100), rng.integers(0, 6, 2_100)
        assert all(item.worse == (item.upper < 0) for item in judged(gain, values))


@pytest.mark.parametrize(("days", "worse"), [(4, False), (5, True)])
def test_a_slice_of_few_days_is_told_and_blocks_nothing(days: int, worse: bool) -> None:  # noqa: FBT001
    names = np.repeat(np.arange(days), 100)
    gain = np.random.default_rng(1).normal(-1, 0.01, len(names))
    (found,) = judged(gain, ["EWR"] * len(names), days=names)
    assert (found.worse, found.upper is None) == (worse, not worse)


def test_a_slice_of_few_days_takes_nothing_from_the_level_of_the_others() -> None:
    gain, values = np.random.default_rng(2).normal(0, 0.1, 2_100), np.where(DAYS < 2, "new", "old")
    told = judged(gain, values)
    assert [item.value for item in told if item.upper is None] == ["new"]
    assert [item.upper for item in told if item.value == "old"] == [
        paired_interval(gain[values == "old"], DAYS[values == "old"], alpha=0.05).upper
    ]


@pytest.mark.parametrize(("min_rows", "told"), [(100, 2), (101, 1), (2_001, 0)])
def test_small_slices_are_not_judged(min_rows: int, told: int) -> None:
    values = np.where(np.arange(2_100) % 21 == 0, "few", "many")
    assert len(judged(np.zeros(2_100), values, min_rows=min_rows)) == told


def test_slices_that_change_nothing_are_not_worse() -> None:
    found = judged(np.zeros(2_100), np.tile(["a", "b"], 1_050))
    assert [(item.worse, item.upper) for item in found] == [(False, 0.0), (False, 0.0)]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1_000), shift=st.floats(-0.05, 0.05))
def test_the_order_of_rows_does_not_matter(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    gain, values = rng.normal(shift, 0.1, 2_100), rng.integers(0, 5, 2_100)
    order = rng.permutation(2_100)
    first, second = judged(gain, values), judged(gain[order], values[order], days=DAYS[order])
    assert [(item.value, item.rows, item.worse) for item in first] == [
        (item.value, item.rows, item.worse) for item in second
    ]
    assert [item.upper for item in first] == pytest.approx([item.upper for item in second])


def test_a_slice_speaks_for_itself() -> None:
    worse = SliceGain(column="carrier", value="AA", rows=1_175, gain=-0.02, upper=-0.01, worse=True)
    few = SliceGain(column="carrier", value="AA", rows=175, gain=-0.02, upper=None, worse=False)
    assert str(worse) == ("carrier = AA becomes provably worse: gain -0.02000 on 1,175 rows, upper bound -0.01000")
    assert str(few) == "carrier = AA is not provably worse: gain -0.02000 on 175 rows, upper bound unknown"
