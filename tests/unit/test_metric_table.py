"""Golden: scikit-learn computes the same on the same rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs  # type: ignore[import-untyped]

from modelling.metric_table import METRIC_TABLE, auc, metric_values
from modelling.metrics import row_losses
from modelling.spec import METRICS, Task

RANDOM = np.random.default_rng(3)
YES = RANDOM.random(400) < 0.3
SCORE = np.round(np.clip(0.3 + 0.3 * YES + RANDOM.normal(0, 0.2, 400), 0.01, 0.99), 2)  # with ties
KIND = RANDOM.integers(0, 4, 300)
CHANCES = RANDOM.dirichlet([1, 2, 3, 1], 300) * 0.7 + 0.3 * np.eye(4)[KIND]
VALUE = RANDOM.normal(5, 2, 200)
GUESS = VALUE + RANDOM.normal(0.3, 1, 200)


def test_binary_metrics_are_those_of_scikit_learn() -> None:
    decided = SCORE >= 0.5
    expected = {
        "logloss": theirs.log_loss(YES, SCORE),
        "brier": theirs.brier_score_loss(YES, SCORE),
        "auc": theirs.roc_auc_score(YES, SCORE),
        "average_precision": theirs.average_precision_score(YES, SCORE),
        "accuracy": theirs.accuracy_score(YES, decided),
        "balanced_accuracy": theirs.balanced_accuracy_score(YES, decided),
        "f1": theirs.f1_score(YES, decided),
        "macro_f1": theirs.f1_score(YES, decided, average="macro"),
    }
    assert metric_values("binary", YES, SCORE) == pytest.approx(expected, rel=1e-12)


def test_multiclass_metrics_are_those_of_scikit_learn() -> None:
    decided = CHANCES.argmax(axis=1)
    expected = {
        "logloss": theirs.log_loss(KIND, CHANCES),
        "brier": theirs.brier_score_loss(KIND, CHANCES, labels=range(4), scale_by_half=False),
        "auc": theirs.roc_auc_score(KIND, CHANCES, multi_class="ovr"),
        "accuracy": theirs.accuracy_score(KIND, decided),
        "balanced_accuracy": theirs.balanced_accuracy_score(KIND, decided),
        "macro_f1": theirs.f1_score(KIND, decided, average="macro"),
    }
    assert metric_values("multiclass", KIND, CHANCES) == pytest.approx(expected, rel=1e-12)


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    expected = {
        "l2": theirs.mean_squared_error(VALUE, GUESS),
        "l1": theirs.mean_absolute_error(VALUE, GUESS),
        "rmse": theirs.root_mean_squared_error(VALUE, GUESS),
        "r2": theirs.r2_score(VALUE, GUESS),
        "median_error": theirs.median_absolute_error(VALUE, GUESS),
    }
    assert metric_values("regression", VALUE, GUESS) == pytest.approx(expected, rel=1e-12)


def test_a_class_that_the_model_does_not_know_is_never_hit() -> None:
    found = metric_values("multiclass", [0, 1, -1, -1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [1.0, 0.0]])
    assert found["accuracy"] == 0.5
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert found["brier"] == pytest.approx((0.02 + 0.08 + (0.52 + 1) + 2) / 4)


def test_what_is_not_defined_is_left_out() -> None:
    assert metric_values("binary", [], []) == {}
    undefined = set(METRIC_TABLE["binary"]) - set(metric_values("binary", [0, 0], [0.2, 0.3]))
    assert undefined == {"auc", "average_precision", "f1"}
    assert "r2" not in metric_values("regression", [1.0, 1.0], [1.0, 2.0])
    assert "auc" not in metric_values("multiclass", [1, 1], [[0.5, 0.5], [0.1, 0.9]])


def test_one_prediction_for_all_rows_is_no_better_than_chance() -> None:
    assert metric_values("binary", [0, 1, 1], np.array(0.4))["auc"] == 0.5
    assert metric_values("regression", [0.0, 2.0], np.array(1.0))["r2"] == 0
    found = metric_values("multiclass", [0, 1, 1, 0], np.array([0.4, 0.6]))
    assert (found["auc"], found["accuracy"]) == (0.5, 0.5)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_may_steer_is_a_mean_of_row_losses_where_lower_is_better(task: Task) -> None:
    steering = [metric for metric in METRIC_TABLE[task].values() if metric.of == "rows"]
    assert tuple(metric.name for metric in steering) == METRICS[task]
    assert {(metric.better, metric.lowest) for metric in steering} == {("lower", 0.0)}
    unsure = [[0.5, 0.5]] * 2 if task == "multiclass" else [0.5, 0.5]
    assert all((row_losses(task, metric.name, [0, 1], unsure) > 0).all() for metric in steering)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_metrics_lie_in_their_range_and_the_auc_counts_pairs(rows: list[tuple[bool, int]]) -> None:
    yes, score = np.array([row[0] for row in rows]), np.array([row[1] / 5 for row in rows])
    for name, value in metric_values("binary", yes, score).items():
        assert METRIC_TABLE["binary"][name].lowest <= value <= METRIC_TABLE["binary"][name].highest
    pairs = [(a > b) + 0.5 * (a == b) for a in score[yes] for b in score[~yes]]
    assert auc(yes, score) == pytest.approx(np.mean(pairs) if pairs else np.nan, nan_ok=True)
