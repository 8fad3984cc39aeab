"""Declared behaviour, and whether a model keeps it."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelling.behaviour import MAX_ROWS, measure
from modelling.training import fit
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.behaviour import BehaviourResult, Check, Invariant, Monotone, check_columns
from validation.errors import ContractError, DefinitionError


class Formula:
    """A model that is a formula of the raw columns."""

    def __init__(self, formula: pl.Expr) -> None:
        self.formula = formula
        self.asked = 0

    def predict(self, raw: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
        self.asked = raw.height
        return raw.select(self.formula.cast(pl.Float64).alias("made")).to_series().to_numpy()


class Failing:
    """A model whose features refuse every row."""

    def predict(self, raw: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
        raise ContractError(f"{raw.height} rows are refused; mend them")


ROWS = pl.DataFrame(
    {
        "wind": np.linspace(0, 100, 101),
        "seats": pl.Series(np.arange(101), dtype=pl.UInt8) + 154,
        "stop": ["north", "south", None] * 33 + ["north"] * 2,
        "open": [True, False] * 50 + [True],
    }
)
SCHEMA = dict(ROWS.schema)
WIND = pl.col("wind")


def measured(check: Check, formula: pl.Expr, rows: pl.DataFrame = ROWS) -> BehaviourResult:
    (found,) = measure([check], Formula(formula), rows)
    return found


def test_a_prediction_that_follows_its_column_is_monotone() -> None:
    assert measured(Monotone(column="wind", direction="increasing"), WIND / 100) == BehaviourResult(
        check="increasing in wind",
        ok=True,
        violations=0.0,
        reason=(
            "increasing in wind: the prediction moves the wrong way by more than 0.01 on 0.0% of 100 changed rows, "
            "at most 5.0% are allowed"
        ),
        rows=100,  # the one of the largest value stays
    )


def test_a_prediction_that_runs_the_other_way_is_told_with_its_share() -> None:
    found = measured(Monotone(column="wind", direction="decreasing", tolerance=0.1), WIND)
    assert (found.ok, found.rows) == (False, 100)
    assert found.violations == 1.0
    assert found.reason == (
        "decreasing in wind: the prediction moves the wrong way by more than 0.1 on 100.0% of 100 changed rows, "
        "at most 5.0% are allowed"
    )


@pytest.mark.parametrize(("max_violations", "ok"), [(0.24, False), (0.25, True)])
def test_a_share_of_violations_is_accepted(max_violations: float, *, ok: bool) -> None:
    """Half an interquartile range is 25: rows from 50 to below 75 reach the cliff at 75."""
    cliff = pl.when(WIND >= 75).then(0.0).otherwise(1.0)
    found = measured(Monotone(column="wind", direction="increasing", max_violations=max_violations), cliff)
    assert (found.violations, found.ok) == (0.25, ok)


@pytest.mark.parametrize(("tolerance", "share"), [(0.5, 0.0), (0.49, 0.25)])
def test_a_small_step_the_wrong_way_is_tolerated(tolerance: float, share: float) -> None:
    cliff = pl.when(WIND >= 75).then(0.0).otherwise(0.5)
    found = measured(Monotone(column="wind", direction="increasing", tolerance=tolerance), cliff)
    assert found.violations == share


def test_explicit_values_are_compared_in_their_order_on_every_row() -> None:
    hill = 1 - (WIND - 50).abs() / 50
    rising = Monotone(column="wind", direction="increasing", values=(0, 20, 50))
    assert measured(rising, hill).violations == 0.0
    beyond = Monotone(column="wind", direction="increasing", values=(0, 20, 50, 80))
    assert (measured(beyond, hill).violations, measured(beyond, hill).rows) == (1.0, 101)


def test_whole_numbers_rise_by_whole_numbers_and_stay_in_their_type() -> None:
    found = measured(Monotone(column="seats", direction="increasing", step=0.001), pl.col("seats"))
    assert (found.ok, found.rows) == (True, 100)
    down = measured(Monotone(column="seats", direction="decreasing", step=0.001, tolerance=0.99), pl.col("seats"))
    assert down.violations == 1.0


def test_nulls_and_infinities_stay_where_they_are() -> None:
    odd = pl.DataFrame({"wind": [None, 1.0, 2.0, 3.0, float("nan"), float("inf"), -float("inf")]})
    found = measured(Monotone(column="wind", direction="increasing"), WIND.fill_null(0).fill_nan(0), odd)
    assert (found.ok, found.rows) == (True, 2)  # from 1 and 2 upwards


@pytest.mark.parametrize(
    ("rows", "check"),
    [
        (ROWS.clear(), Monotone(column="wind", direction="increasing")),
        (pl.DataFrame({"wind": [1.0, 1.0]}), Monotone(column="wind", direction="increasing")),
        (pl.DataFrame({"wind": [None, None]}, schema={"wind": pl.Float64}), Invariant(column="wind")),
    ],
)
def test_where_nothing_can_move_nothing_is_measured_and_that_is_said(rows: pl.DataFrame, check: Check) -> None:
    found = measured(check, WIND, rows)
    assert (found.ok, found.violations, found.rows) == (True, 0.0, 0)
    assert found.reason == f"{check}: not measured, wind has no two values to compare in {rows.height} rows"


def test_a_prediction_that_ignores_a_column_is_invariant() -> None:
    for check in (Invariant(column="stop"), Invariant(column="stop", values=("north", "south", None))):
        assert measured(check, WIND).violations == 0.0


def test_a_prediction_that_heeds_what_it_must_not_is_found() -> None:
    heeds = WIND / 100 + pl.when(pl.col("open")).then(0.02).otherwise(0.0)
    swapped = measured(Invariant(column="open"), heeds)
    assert (swapped.ok, swapped.violations) == (False, 1.0)
    shut = measured(Invariant(column="open", values=(False,)), heeds)
    assert (shut.violations, shut.rows) == (1.0, 51)  # those that were open
    assert measured(Invariant(column="open", tolerance=0.03), heeds).ok


def test_an_answer_that_is_no_number_is_a_violation() -> None:
    blank = pl.when(WIND > 50).then(float("nan")).otherwise(WIND)
    assert measured(Monotone(column="wind", direction="increasing"), blank).violations == 0.74  # of those that reach 51


def test_of_several_classes_the_one_that_changes_most_counts() -> None:
    class Three:
        def predict(self, raw: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
            up = raw["open"].cast(pl.Float64).to_numpy()
            return np.column_stack([np.full(len(up), 0.5), 0.2 + 0.1 * up, 0.3 - 0.1 * up])

    (found,) = measure([Invariant(column="open", tolerance=0.05)], Three(), ROWS)
    assert found.violations == 1.0


def test_a_model_that_fails_on_changed_rows_does_not_pass() -> None:
    (found,) = measure([Invariant(column="open")], Failing(), ROWS)
    assert (found.ok, found.violations) == (False, 1.0)
    assert found.reason == (
        "invariant to open: the model fails on the changed rows, so nothing is known: 101 rows are refused; mend them"
    )


@pytest.mark.parametrize(("height", "asked"), [(MAX_ROWS, MAX_ROWS), (MAX_ROWS + 1, 1_001), (10 * MAX_ROWS, MAX_ROWS)])
def test_the_rows_that_are_asked_are_bounded_and_evenly_spaced(height: int, asked: int) -> None:
    model = Formula(WIND)
    measure([Monotone(column="wind", direction="increasing")], model, pl.DataFrame({"wind": np.arange(float(height))}))
    assert model.asked == asked


def test_the_rows_are_not_changed_and_the_answer_is_repeatable() -> None:
    rows = ROWS.clone()
    checks: list[Check] = [Invariant(column="stop"), Monotone(column="wind", direction="increasing")]
    first = measure(checks, Formula(WIND), rows)
    assert rows.equals(ROWS)
    assert measure(checks, Formula(WIND), rows) == first
    assert measure([], Formula(WIND), rows) == ()


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40),
    step=st.floats(0.01, 5),
    slope=st.floats(0.1, 10),
)
def test_a_rising_formula_never_breaks_a_rising_check(values: list[float], step: float, slope: float) -> None:
    rows = pl.DataFrame({"wind": values})
    rising = Monotone(column="wind", direction="increasing", step=step, max_violations=0.0)
    assert measured(rising, WIND * slope, rows).ok


def test_a_trained_model_is_asked_through_its_own_features(tmp_path: Path) -> None:
    rows = rides(1_500)
    model = fit(pipeline_in(tmp_path).spec, rows, FAST, seed=1, threads=1)
    follows, against, free, bound = measure(
        [
            Monotone(column="wind", direction="increasing", step=1.0),
            Monotone(column="wind", direction="decreasing", step=1.0),
            Invariant(column="ride"),
            Invariant(column="stop", values=("north", "south")),
        ],
        model,
        rows,
    )
    assert (follows.ok, against.ok, free.ok, bound.ok) == (True, False, True, False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Monotone(column="", direction="increasing"), "column must name a column"),
        (lambda: Monotone(column="wind", direction="up"), 'direction must be "increasing" or "decreasing", got \'up\''),  # type: ignore[arg-type]
        (lambda: Monotone(column="wind", direction="increasing", step=0), "step must be a number above 0, got 0"),
        (lambda: Monotone(column="wind", direction="increasing", values=(1,)), "two or more numbers in rising order"),
        (lambda: Monotone(column="wind", direction="increasing", values=(2, 1)), "two or more numbers in rising"),
        (lambda: Monotone(column="wind", direction="increasing", values=("a",)), "values must be numbers"),  # type: ignore[arg-type]
        (lambda: Monotone(column="wind", direction="increasing", values=[1, 2]), "values must be a tuple"),  # type: ignore[arg-type]
        (lambda: Monotone(column="wind", direction="increasing", tolerance=-1), "tolerance must be 0 or more"),
        (lambda: Invariant(column="wind", max_violations=1.0), r"max_violations must be a share in \[0, 1\), got 1.0"),
        (lambda: Invariant(column="wind", values=(1, 1)), "values must differ"),
        (lambda: Invariant(column=3), "column must be a text, got 3"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_check_cannot_be_declared(make: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (Invariant(column="colour"), r"must be a column of the contract \(wind, seats, stop, open\), got 'colour'"),
        (Monotone(column="stop", direction="increasing"), "the column must be of numbers, it is String"),
        (Monotone(column="open", direction="increasing"), "the column must be of numbers, it is Boolean"),
        (Monotone(column="seats", direction="increasing", values=(1, 1.5)), "1.5 is no value of a column of UInt8"),
        (Invariant(column="seats", values=(300,)), "300 is no value of a column of UInt8"),
        (Invariant(column="stop", values=(1,)), "1 is no value of a column of String"),
    ],
)
def test_a_check_on_a_column_that_does_not_fit_is_refused(check: Check, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        check_columns([check], SCHEMA)
    with pytest.raises(DefinitionError, match=message):
        measure([check], Formula(WIND), ROWS)


def test_several_classes_have_no_direction() -> None:
    check_columns([Invariant(column="wind")], SCHEMA, task="multiclass")
    with pytest.raises(DefinitionError, match="several classes have no direction; use Invariant"):
        check_columns([Monotone(column="wind", direction="increasing")], SCHEMA, task="multiclass")
