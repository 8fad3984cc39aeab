"""The baselines; golden: scikit-learn's linear models on the same columns."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, QuantileRegressor, Ridge  # type: ignore[import-untyped]

from modelling.baselines import MAX_ROWS, baseline_predictions, baselines
from modelling.linear import MAX_LEVELS, RIDGE, fit_linear
from modelling.metrics import baseline_prediction, row_losses
from modelling.spec import Spec
from modelling.training import fit
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.errors import ContractError

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return pipeline_in(tmp_path_factory.mktemp("rides")).spec


def plain(rows: int, seed: int) -> Array:
    """Two numbers, some missing, and a category of three levels."""
    random = np.random.default_rng(seed)
    matrix = np.column_stack([random.normal(5, 2, rows), random.exponential(1, rows), random.integers(0, 3, rows)])
    matrix[random.random(rows) < 0.1, 1] = np.nan
    return matrix.astype(np.float64)


def columns(matrix: Array, known: Array) -> Array:
    """The same columns by hand: standardised numbers, missing ones, a column for each level."""
    low, high = np.nanquantile(known[:, :2], [0.001, 0.999], axis=0)
    cut = [np.clip(values[:, :2], low, high) for values in (matrix, known)]
    numbers = (cut[0] - np.nanmean(cut[1], axis=0)) / np.nanstd(cut[1], axis=0)
    return np.column_stack([np.nan_to_num(numbers), np.isnan(matrix[:, 1]), matrix[:, [2]] == np.arange(3)])


def log_odds(matrix: Array) -> Array:
    return np.asarray(0.7 * (matrix[:, 0] - 5) - np.nan_to_num(matrix[:, 1], nan=2.0) + (matrix[:, 2] == 1))


def test_probabilities_are_those_of_scikit_learn() -> None:
    known, asked = plain(3_000, 1), plain(500, 2)
    labels = (np.random.default_rng(3).random(3_000) < 1 / (1 + np.exp(-log_odds(known)))).astype(np.float64)
    ours = fit_linear(known, labels, categorical=[2], task="binary", metric="logloss").predict(asked)
    theirs = LogisticRegression(C=1 / RIDGE, tol=1e-8, max_iter=1_000).fit(columns(known, known), labels)
    np.testing.assert_allclose(ours, theirs.predict_proba(columns(asked, known))[:, 1], atol=2e-3)


def test_probabilities_of_several_classes_are_those_of_scikit_learn() -> None:
    known, asked = plain(3_000, 1), plain(500, 2)
    labels = np.digitize(log_odds(known) + np.random.default_rng(3).logistic(size=3_000), [-1.0, 1.0])
    model = fit_linear(
        known, labels.astype(np.float64), categorical=[2], task="multiclass", metric="logloss", classes=3
    )
    theirs = LogisticRegression(C=1 / RIDGE, tol=1e-8, max_iter=1_000).fit(columns(known, known), labels)
    np.testing.assert_allclose(model.predict(asked), theirs.predict_proba(columns(asked, known)), atol=2e-3)


def test_values_are_those_of_scikit_learn() -> None:
    known, asked = plain(3_000, 1), plain(500, 2)
    values = 1_000 + 50 * (log_odds(known) + np.random.default_rng(3).standard_t(2, 3_000))
    squared, absolute = (
        fit_linear(known, values, categorical=[2], task="regression", metric=metric).predict(asked)
        for metric in ("l2", "l1")
    )
    ridge = Ridge(alpha=RIDGE).fit(columns(known, known), values).predict(columns(asked, known))
    np.testing.assert_allclose(squared, ridge, atol=0.005 * values.std())
    median = QuantileRegressor(alpha=0).fit(columns(known, known), values).predict(columns(asked, known))
    np.testing.assert_allclose(absolute, median, atol=0.02 * values.std())


def test_odd_numbers_are_harmless() -> None:
    """Infinite, huge, constant and missing columns, far values in what is asked, and a level that did not come."""
    random = np.random.default_rng(1)
    known = np.column_stack(
        [random.normal(size=400), np.full(400, 3.0), np.full(400, np.nan), random.choice([1e300, -1e300, 1.0], 400)]
    )
    known[0, 0] = np.inf
    known = np.column_stack([known, random.integers(0, MAX_LEVELS * 3, 400)])
    labels = (known[:, 0] > 0).astype(np.float64)
    model = fit_linear(known, labels, categorical=[4], task="binary", metric="logloss")
    asked = np.array([[1e12, 4.0, 1.0, -np.inf, 9_999.0], [-np.inf, np.nan, np.nan, np.nan, np.nan]])
    found = model.predict(asked)
    assert found[0] > 0.9
    assert found[1] < 0.1
    assert model.predict(asked[:0]).shape == (0,)
    assert model.weights.shape[0] == 2 * 4 + MAX_LEVELS + 1


def test_the_same_rows_give_the_same_predictions(spec: Spec) -> None:
    first, second = (baselines(spec, rides(500), rides(50, seed=2)) for _ in range(2))
    assert {name: losses.tolist() for name, losses in first.items()} == {
        name: losses.tolist() for name, losses in second.items()
    }


def test_a_linear_model_lies_between_the_best_constant_and_what_made_the_labels(spec: Spec) -> None:
    train, rows = rides(2_000), rides(2_000, seed=2)
    found = {name: losses.mean() for name, losses in baselines(spec, train, rows).items()}
    rate = baseline_prediction("binary", "logloss", train["late"].cast(pl.Float64).to_numpy())
    labels = rows["late"].cast(pl.Float64).to_numpy()
    assert found["constant"] == pytest.approx(row_losses("binary", "logloss", labels, rate).mean())
    odds = rows.select(0.5 * (pl.col("wind") - 10) + (pl.col("stop") == "north") * 1.5 - 1).to_series().to_numpy()
    best = row_losses("binary", "logloss", labels, 1 / (1 + np.exp(-odds))).mean()
    assert best < found["linear"] < best + 0.1 * (found["constant"] - best)


@pytest.mark.parametrize(("task", "metric"), [("multiclass", "logloss"), ("regression", "l1"), ("binary", "brier")])
def test_baselines_have_the_shape_of_the_models_predictions(spec: Spec, task: str, metric: str) -> None:
    kind = pl.when(pl.col("wind") < 9).then(pl.lit("calm")).otherwise(pl.col("stop"))
    late = {"multiclass": kind, "regression": pl.col("wind") * 2, "binary": pl.col("late")}[task]
    own = replace(spec, task=task, metric=metric)  # type: ignore[arg-type]
    train, rows = (rides(1_000, seed=seed).with_columns(late=late) for seed in (1, 2))
    model = fit(own, train, FAST, seed=7, threads=1)
    found = baseline_predictions(own, train, rows, classes=model.classes)
    assert {name: told.shape for name, told in found.items()} == dict.fromkeys(found, model.predict(rows).shape)
    losses = baselines(own, train, rows)
    assert losses["linear"].mean() < losses["constant"].mean()


def test_a_class_that_was_not_there_is_given_nothing(spec: Spec) -> None:
    train = rides(1_000).with_columns(late=pl.col("stop"))
    rows = rides(10, seed=2).with_columns(late=pl.lit("east"))
    assert (baselines(replace(spec, task="multiclass"), train, rows)["linear"] > 30).all()


def test_many_rows_are_thinned(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelling.baselines.MAX_ROWS", 300)
    few = baselines(spec, rides(2_000), rides(500, seed=2))["linear"].mean()
    monkeypatch.undo()
    many = baselines(spec, rides(2_000), rides(500, seed=2))["linear"].mean()
    assert few != many
    assert few == pytest.approx(many, rel=0.05)
    assert MAX_ROWS > 2_000


def test_labels_that_are_none_are_refused(spec: Spec) -> None:
    with pytest.raises(ContractError, match="1 labels 'late' are null"):
        baselines(spec, rides(50).with_columns(late=pl.when(pl.col("ride") > 0).then("late")), rides(5))
