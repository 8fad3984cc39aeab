import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.metrics import baseline_prediction, row_losses
from validation.errors import DefinitionError


def test_logloss_of_a_row_is_the_surprise_of_what_happened() -> None:
    losses = row_losses("binary", "logloss", [True, False, True], [0.5, 0.25, 1.0])
    np.testing.assert_allclose(losses, [np.log(2), -np.log(0.75), 0.0], atol=1e-12)


def test_a_certain_and_wrong_probability_costs_a_bounded_loss() -> None:
    np.testing.assert_allclose(row_losses("binary", "logloss", [1, 0], [0.0, 1.0]), 34.538776, rtol=1e-6)


def test_multiclass_logloss_takes_the_probability_of_the_label_and_zero_for_an_unknown_class() -> None:
    losses = row_losses("multiclass", "logloss", [2, 0, -1], [[0.1, 0.4, 0.5], [0.25, 0.7, 0.05], [0.3, 0.3, 0.4]])
    np.testing.assert_allclose(losses, [np.log(2), np.log(4), 34.538776], rtol=1e-6)


def test_regression_losses_are_squared_and_absolute_errors() -> None:
    np.testing.assert_array_equal(row_losses("regression", "l2", [1.0, -2.0], [3.0, 1.0]), [4.0, 9.0])
    np.testing.assert_array_equal(row_losses("regression", "l1", [1.0, -2.0], [3.0, 1.0]), [2.0, 3.0])


def test_of_no_rows_there_are_no_losses_and_no_baseline() -> None:
    assert row_losses("binary", "logloss", [], []).shape == (0,)
    assert np.isnan(baseline_prediction("regression", "l2", []))


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"metric of a binary task must be one of .*logloss.*, got 'auc'"):
        row_losses("binary", "auc", [1], [0.5])


def test_the_multiclass_baseline_is_the_share_of_each_class_for_every_row() -> None:
    shares = baseline_prediction("multiclass", "logloss", [0, 1, 1, 2])
    np.testing.assert_array_equal(shares, [0.25, 0.5, 0.25])
    np.testing.assert_allclose(row_losses("multiclass", "logloss", [1, 0], shares), [np.log(2), np.log(4)])


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.floats(0, 1))
def test_no_constant_beats_the_binary_baseline(labels: list[bool], other: float) -> None:
    baseline = baseline_prediction("binary", "logloss", labels)
    best, found = (row_losses("binary", "logloss", labels, constant).mean() for constant in (baseline, other))
    assert best <= found + 1e-12


@given(
    st.sampled_from(["l1", "l2"]),
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30),
    st.floats(-1e3, 1e3),
)
def test_no_constant_beats_the_regression_baseline(metric: str, labels: list[float], other: float) -> None:
    baseline = baseline_prediction("regression", metric, labels)
    best, found = (row_losses("regression", metric, labels, constant).mean() for constant in (baseline, other))
    assert best <= found * (1 + 1e-9) + 1e-9
