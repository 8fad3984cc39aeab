"""Points of a reliability plot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.reliability import BINS, reliability


def test_shares_and_their_intervals_are_those_of_wilson() -> None:
    """Golden: 30 of 100 and 90 of 100; intervals by scipy.stats.binomtest(...).proportion_ci(method="wilson")."""
    label = np.repeat([1.0, 0.0, 1.0, 0.0], [30, 70, 90, 10])
    prediction = np.repeat([0.2, 0.8], 100)
    found = reliability("binary", label, prediction)
    assert found is not None
    low, high = found.points
    assert (low.said, low.came, low.rows) == pytest.approx((0.2, 0.3, 100))
    assert (low.lower, low.upper) == pytest.approx((0.2189489, 0.3958485), abs=1e-7)
    assert (high.lower, high.upper) == pytest.approx((0.8256343, 0.9447709), abs=1e-7)
    assert found.error == pytest.approx(0.1)


def test_of_several_classes_the_likeliest_is_asked_whether_it_came() -> None:
    prediction = np.tile([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], (50, 1))
    label = np.tile([0.0, 1.0], 50)
    found = reliability("multiclass", label, prediction)
    assert found is not None
    assert [(round(point.said, 6), point.came) for point in found.points] == [(0.6, 0.0), (0.7, 1.0)]


def test_of_a_regression_the_interval_is_that_of_the_mean() -> None:
    """Golden: mean and 1.96 standard errors of 0, 1, ..., 59."""
    found = reliability("regression", np.arange(60.0), np.full(60, 20.0))
    assert found is not None
    (point,) = found.points
    assert (point.said, point.came) == (20.0, 29.5)
    assert (point.lower, point.upper) == pytest.approx((29.5 - 4.418984, 29.5 + 4.418984), abs=1e-5)


def test_rows_that_are_no_numbers_are_left_out_and_without_rows_there_is_nothing() -> None:
    assert reliability("binary", [], []) is None
    assert reliability("multiclass", [], np.empty((0, 3))) is None
    assert reliability("regression", [np.nan], [1.0]) is None
    found = reliability("regression", [1.0, np.nan, 3.0], [2.0, 2.0, np.inf])
    assert found is not None
    assert [point.rows for point in found.points] == [1]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=700))
def test_each_row_is_in_one_point_and_equal_predictions_in_the_same(rows: list[tuple[bool, int]]) -> None:
    label, prediction = np.array([row[0] for row in rows]), np.array([row[1] / 20 for row in rows])
    found = reliability("binary", label, prediction)
    assert found is not None
    assert sum(point.rows for point in found.points) == len(rows)
    assert len(found.points) <= BINS
    said = [point.said for point in found.points]
    assert said == sorted(said)
    assert all(0 <= point.lower <= point.came <= point.upper <= 1 for point in found.points)
    assert sum(point.came * point.rows for point in found.points) == pytest.approx(label.sum())
    assert 0 <= found.error <= 1
    doubled = reliability("binary", label[::-1], prediction[::-1])
    assert doubled is not None
    assert [point.rows for point in doubled.points] == [point.rows for point in found.points]
