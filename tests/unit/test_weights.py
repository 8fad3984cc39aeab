from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelling.prepared import prepare
from modelling.recipes import Recipe
from modelling.spec import Spec, Training
from modelling.training import fit
from modelling.weights import column_weights, judge_weights, row_weights
from tests.unit.modelling_world import FAST, START, pipeline_in, rides
from validation.errors import ContractError


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return pipeline_in(tmp_path_factory.mktemp("rides")).spec


def weighed(spec: Spec, **training: object) -> Spec:
    return replace(spec, training=Training(**training))  # type: ignore[arg-type]


def rows_of(late: list[bool], *, weight: list[float] | None = None) -> pl.DataFrame:
    """Rows a day apart."""
    at = pl.Series([START + timedelta(days=day) for day in range(len(late))], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"at": at, "late": late, "fare": weight or [1.0] * len(late)})


def halved(days: float) -> Recipe:
    return replace(FAST, half_life_days=days)


def test_rows_weigh_the_same_where_nothing_else_is_said(spec: Spec) -> None:
    assert row_weights(spec, rides(10), FAST, ()) is None
    assert row_weights(weighed(spec, weight="fare"), rows_of([]), halved(3), ()) is None


def test_a_weight_column_is_scaled_to_a_mean_of_one(spec: Spec) -> None:
    found = row_weights(weighed(spec, weight="fare"), rows_of([True] * 3, weight=[1, 2, 3]), FAST, ())
    np.testing.assert_allclose(found, [0.5, 1.0, 1.5])  # type: ignore[arg-type]
    huge = row_weights(weighed(spec, weight="fare"), rows_of([True] * 2, weight=[1e308, 1e308]), FAST, ())
    np.testing.assert_array_equal(huge, [1.0, 1.0])


def test_a_row_weighs_half_as_much_for_each_half_life_that_it_is_older(spec: Spec) -> None:
    found = row_weights(spec, rows_of([True, False, True, False, True]), halved(2), ())
    np.testing.assert_allclose(found, [0.25, 0.5**1.5, 0.5, 0.5**0.5, 1.0])  # type: ignore[arg-type]
    ancient = row_weights(spec, rows_of([True] * 100), halved(0.5), ())
    assert ancient is not None
    assert ancient.min() > 0


def test_balanced_classes_are_equally_heavy_and_the_total_stays(spec: Spec) -> None:
    rows = rows_of([True, False, False, False], weight=[1, 1, 1, 5])
    found = row_weights(weighed(spec, class_weight="balanced"), rows, FAST, ())
    np.testing.assert_allclose(found, [2.0, 2 / 3, 2 / 3, 2 / 3])  # type: ignore[arg-type]
    with_all = row_weights(weighed(spec, class_weight="balanced", weight="fare"), rows, halved(1), ())
    plain = row_weights(weighed(spec, weight="fare"), rows, halved(1), ())
    assert with_all is not None
    assert plain is not None
    assert with_all[0] == pytest.approx(with_all[1:].sum())
    assert with_all.sum() == pytest.approx(plain.sum())


def test_of_several_classes_each_is_as_heavy_also_where_one_does_not_come(spec: Spec) -> None:
    rows = pl.DataFrame({"at": rows_of([True] * 4)["at"], "late": ["a", "a", "a", "b"]})
    found = row_weights(replace(weighed(spec, class_weight="balanced"), task="multiclass"), rows, FAST, ("a", "b", "c"))
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 2 / 3, 2.0])  # type: ignore[arg-type]


def test_rows_that_judge_a_search_are_balanced_where_those_that_train_are(spec: Spec) -> None:
    labels = np.array([1.0, 0.0, 0.0, 0.0])
    assert judge_weights(weighed(spec, weight="fare"), labels) is None
    assert judge_weights(weighed(spec, class_weight="balanced"), labels[:0]) is None
    found = judge_weights(weighed(spec, class_weight="balanced", weight="fare"), labels)
    np.testing.assert_allclose(found, [2.0, 2 / 3, 2 / 3, 2 / 3])  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), 0.0, -1.0])
def test_a_weight_that_is_none_is_refused(spec: Spec, bad: float | None) -> None:
    rows = rows_of([True, False], weight=[1.0, bad])  # type: ignore[list-item]
    with pytest.raises(ContractError, match=r"weight column 'fare': 1 of 2 weights are null, .* demand it"):
        column_weights(weighed(spec, weight="fare"), rows)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.floats(1e-3, 1e3)), min_size=2, max_size=30), st.floats(0.1, 100))
def test_weights_are_positive_and_do_not_depend_on_the_columns_unit(
    spec: Spec, rows: list[tuple[bool, float]], unit: float
) -> None:
    late, fares = [row[0] for row in rows], [row[1] for row in rows]
    own = weighed(spec, weight="fare", class_weight="balanced")
    found = row_weights(own, rows_of(late, weight=fares), halved(5), ())
    same = row_weights(own, rows_of(late, weight=[fare * unit for fare in fares]), halved(5), ())
    assert found is not None
    assert (found > 0).all()
    np.testing.assert_allclose(found, same, rtol=1e-9)  # type: ignore[arg-type]


def test_prepared_rows_weigh_and_train_as_the_raw_ones_do(spec: Spec) -> None:
    """The training process has prepared rows alone; balance, weights, age, constraints and calibration are the same."""
    own = weighed(spec, weight="wind", class_weight="balanced", calibration="isotonic", monotone={"wind": 1})
    rows = rides(1_000).with_columns(wind=pl.col("wind").abs() + 1)
    told, ready = prepare(own, rows)
    raw, prepared = fit(own, rows, halved(9), seed=7, threads=1), fit(told, ready, halved(9), seed=7, threads=1)
    assert prepared.text == raw.text
    assert prepared.calibration == raw.calibration
    assert raw.calibration is not None


def test_a_model_follows_the_weights(spec: Spec) -> None:
    """Fitted on the truth and on lies that weigh next to nothing, it tells the truth."""
    rows = rides(1_000)
    lies = rows.with_columns(late=~pl.col("late"))
    both = pl.concat([rows.with_columns(fare=1.0), lies.with_columns(fare=1e-4)])
    told = replace(weighed(spec, weight="fare"), raw_schema={**spec.raw_schema, "fare": pl.Float64()})
    honest, weighted = fit(spec, rows, FAST, seed=7, threads=1), fit(told, both, FAST, seed=7, threads=1)
    asked = rides(200, seed=2).with_columns(fare=1.0)
    assert np.corrcoef(honest.predict(asked), weighted.predict(asked))[0, 1] > 0.9
