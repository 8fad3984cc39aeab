"""Which changes of a unit are recognised, and which cannot be: a unit changed for all rows of a window."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.unit.drift_world import DAY, NEW_YEAR, days_of, judged, judged_after, numbers, profiled
from validation.watch.drift import DriftVerdict, Seen

Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
DAYS, ROWS = 31, 500


def centred(rng: np.random.Generator) -> Values:
    return rng.standard_normal((DAYS, ROWS)) + rng.normal(0, 0.05, (DAYS, 1))


def positive(rng: np.random.Generator) -> Values:
    return np.exp(0.5 * rng.standard_normal((DAYS, ROWS)) + rng.normal(2, 0.05, (DAYS, 1)))


def counted(rng: np.random.Generator) -> Values:
    return rng.poisson(rng.normal(4, 0.2, (DAYS, 1)), (DAYS, ROWS)).astype(float)


def celsius(rng: np.random.Generator) -> Values:
    """Days of one season."""
    return rng.normal(12, 3, (DAYS, 1)) + rng.normal(0, 3, (DAYS, ROWS))


def fahrenheit(rng: np.random.Generator) -> Values:
    return celsius(rng) * 1.8 + 32


def changed(make: Callable[[np.random.Generator], Values], change: Callable[[Values], Values]) -> DriftVerdict:
    values = make(np.random.default_rng(3))
    frame = days_of({"x": values.reshape(-1)}, days=DAYS)
    return judged(profiled(frame), pl.DataFrame({"x": change(values[-1])}))


@pytest.mark.parametrize(
    ("make", "change", "words"),
    [
        (centred, lambda x: x * 10, "multiplied by 10"),
        (centred, lambda x: x * 1000, "multiplied by 1,000"),
        (centred, lambda x: x / 1000, "divided by 1,000"),
        (positive, lambda x: x * 10, "multiplied by 10"),
        (positive, lambda x: x * 60, "multiplied by 60"),
        (positive, lambda x: x * 100, "multiplied by 100"),
        (positive, lambda x: x * 1000, "multiplied by 1,000"),
        (positive, lambda x: x / 10, "divided by 10"),
        (positive, lambda x: x / 100, "divided by 100"),
        (positive, lambda x: x / 1000, "divided by 1,000"),
        (positive, lambda x: -x, "given the opposite sign"),
        (counted, lambda x: x * 10, "multiplied by 10"),
        (counted, lambda x: x * 1000, "multiplied by 1,000"),
        (counted, lambda x: x / 1000, "divided by 1,000"),
        (celsius, lambda x: x * 1.8 + 32, "converted from Celsius to Fahrenheit"),
        (fahrenheit, lambda x: (x - 32) / 1.8, "converted from Fahrenheit to Celsius"),
        (celsius, lambda x: x + 273.15, "converted from Celsius to Kelvin"),
    ],
)
def test_these_changes_of_a_unit_are_recognised(
    make: Callable[[np.random.Generator], Values], change: Callable[[Values], Values], words: str
) -> None:
    verdict = changed(make, change)
    assert (verdict.outcome, verdict.bad_data) == ("drift", ("x",))
    assert verdict.features[0].cause == "unit change"
    assert f"x looks as if it had been {words}: its median moved by" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("make", "change", "cause"),
    [
        (positive, lambda x: x * 1.609, "shift"),  # kilometres for miles
        (positive, lambda x: x * 2.2, "shift"),  # pounds for kilograms
        (centred, lambda x: x + 2, "shift"),
        (positive, lambda x: x + 30, "shift"),
        (positive, lambda x: x / 1.609, "shift"),
    ],
)
def test_what_may_as_well_be_drift_is_not_called_bad_data(
    make: Callable[[np.random.Generator], Values], change: Callable[[Values], Values], cause: str
) -> None:
    verdict = changed(make, change)
    assert [(item.name, item.cause) for item in verdict.features if item.drifted] == [("x", cause)]
    assert verdict.bad_data == ()


def test_the_opposite_sign_of_what_is_symmetric_changes_nothing() -> None:
    assert changed(centred, lambda x: -x).outcome == "quiet"


@pytest.mark.parametrize("factor", [10.0, 1000.0])
def test_a_wild_value_beside_a_changed_unit_hides_its_name_but_not_that_it_is_broken(factor: float) -> None:
    def change(values: Values) -> Values:
        return np.append(values[1:] * factor * 3, 1e12)

    verdict = changed(positive, change)
    assert verdict.bad_data == ("x",)
    assert "x has another unit or is broken: its median moved by" in verdict.reasons[0]


@pytest.mark.parametrize("rows", [9, 10])
def test_few_rows_with_one_value_are_not_stuck(rows: int) -> None:
    frame = numbers(1, days=31, rows=200)
    verdict = judged(profiled(frame), pl.DataFrame({"x0": [2.5] * rows}))
    assert [item.cause for item in verdict.features] == (["shift"] if rows < 10 else ["stuck"])


def test_a_column_that_was_constant_on_some_days_is_not_stuck() -> None:
    values = np.random.default_rng(1).standard_normal((31, 200))
    values[4] = 0.5
    frame = days_of({"x": values.reshape(-1), "c": np.where(values.reshape(-1) > 0.4, "a", "b")}, days=31)
    verdict = judged(profiled(frame), pl.DataFrame({"x": [0.6] * 200, "c": ["a"] * 200}))
    assert (verdict.features[0].drifted, verdict.bad_data) == (True, ())


def test_at_the_end_of_the_reference_s_range_the_median_tells_how_far_it_moved() -> None:
    """Golden: 30 over the standard deviation of all values, by numpy."""
    verdict = changed(positive, lambda x: x + 30)
    assert verdict.features[0].shift == pytest.approx(30 / positive(np.random.default_rng(3)).std(), rel=0.2)
    assert "x moved to the end of the reference's range or beyond: its median by +" in verdict.reasons[0]


def test_what_has_been_moving_for_a_while_has_not_changed_its_unit() -> None:
    """A spring that looks like Fahrenheit, on the first day and after a day on which it had drifted already."""
    values = celsius(np.random.default_rng(3))
    profile = profiled(days_of({"x": values.reshape(-1)}, days=DAYS))
    start = NEW_YEAR + 30 * DAY
    now = pl.DataFrame({"x": values[-1] * 1.8 + 32})
    before = Seen(start=start - DAY, outcome="drift", features={"x": (start - 9 * DAY).isoformat()})
    assert judged_after(profile, now, start, []).bad_data == ("x",)
    assert judged_after(profile, now, start, [before]).bad_data == ()
    assert judged_after(profile, now, start, [replace(before, bad_data=("x",))]).bad_data == ("x",)
    assert judged_after(profile, now * 1000, start, [before]).bad_data == ("x",), "too far for any spring"


@pytest.mark.parametrize(("season", "cause"), [(1.0, "shift"), (4000.0, "unit change")])
def test_a_code_has_no_unit(season: float, cause: str) -> None:
    """The year's fourth season lasts for the whole reference, but for a row a day: the first one is far, and right."""
    seasons = np.array([[3.0] + [4.0] * (ROWS - 1)] * 30)
    profile = profiled(days_of({"x": seasons.reshape(-1)}, days=30))
    found = judged(profile, pl.DataFrame({"x": [season] * (ROWS - 1) + [4.0]})).features[0]
    assert found.drifted
    assert found.cause == cause


@pytest.mark.parametrize(("rows", "told"), [(49, False), (50, True)])
def test_few_rows_do_not_say_by_what_they_were_divided(rows: int, *, told: bool) -> None:
    values = positive(np.random.default_rng(3))
    profile = profiled(days_of({"x": values.reshape(-1)}, days=DAYS))
    found = judged(profile, pl.DataFrame({"x": values[-1][:rows] / 10}))
    assert (found.bad_data == ("x",)) is told
