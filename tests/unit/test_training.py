from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelling.engine import Engine
from modelling.inputs import inputs_of
from modelling.metrics import baseline_prediction, row_losses
from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.spec import Spec
from modelling.training import fit
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.errors import ContractError, DefinitionError, RegistryError


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return pipeline_in(tmp_path).spec


def test_the_same_rows_recipe_and_seed_give_the_same_text(spec: Spec) -> None:
    first, second = (fit(spec, rides(), FAST, seed=7, threads=2).text for _ in range(2))
    assert first == second
    assert fit(spec, rides(), FAST, seed=8, threads=2).text != first


def test_the_number_of_threads_changes_no_prediction(spec: Spec) -> None:
    one, two = (fit(spec, rides(), FAST, seed=7, threads=threads).predict(rides(50, seed=2)) for threads in (1, 2))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)


def test_a_model_beats_the_base_rate_on_rows_it_has_not_seen(spec: Spec) -> None:
    model, later = fit(spec, rides(), FAST, seed=7, threads=1), rides(1_000, seed=2)
    base = baseline_prediction("binary", "logloss", model.labels(rides()))
    loss = row_losses("binary", "logloss", model.labels(later), model.predict(later)).mean()
    assert loss < 0.9 * row_losses("binary", "logloss", model.labels(later), base).mean()


def test_labels_and_bookkeeping_of_the_training_frame_are_no_inputs(spec: Spec) -> None:
    model = fit(spec, rides(), FAST, seed=7, threads=1)
    assert model.encoding.names == ("stop", "wind", "hour", "weekend")
    assert model.trained_until > rides()["at"].max()  # type: ignore[operator]


def test_nulls_unseen_levels_and_no_rows_are_predicted(spec: Spec) -> None:
    model = fit(spec, rides(), FAST, seed=7, threads=1)
    odd = rides(2).with_columns(wind=pl.lit(None, dtype=pl.Float64), stop=pl.lit("nowhere"))
    assert np.isfinite(model.predict(odd)).all()
    assert model.predict(rides(5).clear()).shape == (0,)


def test_many_classes_give_a_probability_each(spec: Spec) -> None:
    kinds = rides().with_columns(
        late=pl.when(pl.col("wind") < 8)
        .then(pl.lit("low"))
        .when(pl.col("wind") < 12)
        .then(pl.lit("mid"))
        .otherwise(pl.lit("high"))
    )
    model = fit(replace(spec, task="multiclass"), kinds, FAST, seed=7, threads=1)
    probabilities = model.predict(kinds)
    assert model.classes == ("high", "low", "mid")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert (probabilities.argmax(axis=1) == model.labels(kinds)).mean() > 0.95
    assert model.predict(kinds.clear()).shape == (0, 3)


@pytest.mark.parametrize("metric", ["l2", "l1"])
def test_regression_predicts_values(spec: Spec, metric: str) -> None:
    rows = rides().with_columns(late=pl.col("wind") * 2)
    model = fit(replace(spec, task="regression", metric=metric), rows, FAST, seed=7, threads=1)
    base = baseline_prediction("regression", metric, model.labels(rows))
    loss = row_losses("regression", metric, model.labels(rows), model.predict(rows)).mean()
    assert loss < 0.5 * row_losses("regression", metric, model.labels(rows), base).mean()


def test_a_category_without_a_frequent_level_is_harmless(spec: Spec) -> None:
    rows = rides().with_columns(stop=pl.col("ride").cast(pl.String))
    assert np.isfinite(fit(spec, rows, FAST, seed=7, threads=1).predict(rows)).all()


def test_training_needs_rows(spec: Spec) -> None:
    with pytest.raises(ContractError, match="no labelled rows to train on"):
        fit(spec, rides().clear(), FAST, seed=7, threads=1)


def test_features_that_drop_or_reorder_rows_are_refused(spec: Spec) -> None:
    with pytest.raises(DefinitionError, match="features made 9 rows of 10"):
        inputs_of(replace(spec, features=lambda rows: rows.filter(pl.col("ride") > 0)), rides(10))
    with pytest.raises(DefinitionError, match="features changed ride or the order of rows"):
        inputs_of(replace(spec, features=lambda rows: rows.reverse()), rides(10))


def test_python_code_in_features_that_fails_is_the_authors_error(spec: Spec) -> None:
    slow = pl.col("ride").map_batches(lambda _: 1 / 0, return_dtype=pl.Float64)
    with pytest.raises(DefinitionError, match=r"features fails on 10 rows; mend it: .*division by zero"):
        inputs_of(replace(spec, features=lambda rows: rows.with_columns(slow=slow)), rides(10))


def test_features_that_fail_on_data_are_the_authors_error(spec: Spec) -> None:
    with pytest.raises(DefinitionError, match="features fails on 10 rows"):
        inputs_of(replace(spec, features=lambda rows: rows.with_columns(pl.col("stop").cast(pl.Int64))), rides(10))


def test_a_recipe_has_exactly_the_parameters_of_the_space() -> None:
    with pytest.raises(DefinitionError, match=r"recipe.params must be exactly learning_rate, .*, got max_bin"):
        Recipe(params={"max_bin": 3}, rounds=10)
    with pytest.raises(DefinitionError, match=r"recipe.rounds must be at least 1, got 0"):
        Recipe(params=DEFAULT_RECIPES["binary"][0].params, rounds=0)


def test_text_that_is_no_model_is_refused() -> None:
    with pytest.raises(RegistryError, match="this is no LightGBM model"):
        Engine.from_text("tree")
