"""Is the refit still the model that was proven? Asked of rows that both have learned, as much as they have learned."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelling.metrics import row_losses
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.refit_check import against_refit
from modelling.spec import Spec
from modelling.splits import Split, split
from modelling.training import fit
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.refit import guard_refit

HOLDOUT = timedelta(days=10)
PLAIN = replace(FAST, rounds=40)
SHORT = replace(PLAIN, span_days=6)  # shorter than the holdout
FORGETFUL = replace(PLAIN, half_life_days=1.5)  # what weighs least in the holdout weighs a hundredth
FADING = replace(PLAIN, half_life_days=8)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return pipeline_in(tmp_path).spec


def turning() -> pl.DataFrame:
    """41 days of rides, most of which are late in the holdout's ten, and few before: the past is no guide."""
    frame, random = rides(2_000), np.random.default_rng(3)
    late = frame["at"].to_numpy() >= (frame["at"] - HOLDOUT).to_numpy()[-1]
    return frame.with_columns(late=random.random(frame.height) < np.where(late, 0.8, 0.2))


def parts_of(rows: pl.DataFrame) -> Split:
    return split(rows, time="at", holdout=HOLDOUT, gap=timedelta(0), train="all")


def made(spec: Spec, rows: pl.DataFrame, recipe: Recipe) -> Model:
    return fit(spec, rows, recipe, seed=7, threads=1)


def spoilt(rows: pl.DataFrame) -> pl.DataFrame:
    """The same, but for every other label, which became "no" on its way."""
    return rows.with_columns(late=pl.col("late") & (pl.col("ride") % 2 == 0))


def on_the_newest_trained(spec: Spec, parts: Split, proven: Model, refit: Model) -> tuple[str, ...]:
    """All rows alike, the newest that `proven` may have learned: right for a plain recipe alone."""
    shared, held = parts.train.tail(parts.holdout.height), parts.holdout
    losses = [row_losses(spec.task, spec.metric, model.labels(held), model.predict(held)) for model in (proven, refit)]
    return guard_refit(
        proven_prediction=proven.predict(shared),
        refit_prediction=refit.predict(shared),
        proven_loss=losses[0],
        refit_loss=losses[1],
        label=proven.labels(shared),
        task="binary",
    )


@pytest.mark.parametrize("rows", [rides(2_000), turning()])
def test_a_plain_recipes_refit_is_asked_about_the_newest_trained_rows(spec: Spec, rows: pl.DataFrame) -> None:
    parts = parts_of(rows)
    proven, refit, wrong = (made(spec, known, PLAIN) for known in (parts.train, rows, spoilt(rows)))
    assert against_refit(spec, parts, proven, refit) == on_the_newest_trained(spec, parts, proven, refit)
    found = against_refit(spec, parts, proven, wrong)
    assert found
    assert found == on_the_newest_trained(spec, parts, proven, wrong)


@pytest.mark.parametrize("recipe", [SHORT, FORGETFUL])
def test_what_a_refit_has_forgotten_on_purpose_does_not_speak_against_it(spec: Spec, recipe: Recipe) -> None:
    rows = turning()
    parts = parts_of(rows)
    proven, refit = made(spec, parts.train, recipe), made(spec, rows, recipe)
    assert on_the_newest_trained(spec, parts, proven, refit), "the rows do not turn enough to tell"
    assert against_refit(spec, parts, proven, refit) == ()


@pytest.mark.parametrize("recipe", [SHORT, FORGETFUL, FADING, replace(PLAIN, span_days=15)])
def test_one_that_went_wrong_is_found_all_the_same(spec: Spec, recipe: Recipe) -> None:
    rows = rides(2_000)
    parts = parts_of(rows)
    proven, wrong = made(spec, parts.train, recipe), made(spec, spoilt(rows), recipe)
    found = " ".join(against_refit(spec, parts, proven, wrong))
    assert "on rows the refit saw" in found
    assert ("mean of label - prediction" in found) is (recipe not in (SHORT, FORGETFUL)), "no rows that both learned"


def test_a_bias_is_weighted_and_may_grow_by_chance_and_no_more() -> None:
    days, label = np.repeat(np.arange(10), 10), np.tile(np.arange(10) < 3, 10)
    proven, flat = np.full(100, 0.3 - 1e-9), np.ones(100)
    facts: dict[str, Any] = {"proven_prediction": proven, "proven_loss": flat, "refit_loss": flat, "label": label}

    def refit(prediction: Any, **named: Any) -> tuple[str, ...]:
        return guard_refit(refit_prediction=prediction, task="binary", **facts, **named)

    old_rows = np.where(days < 5, 0.2, 0.3)
    assert refit(old_rows) == (
        "the refit's mean of label - prediction is +0.0500, the proven model's +0.0000; it may be 0.02 further from 0",
    )
    assert refit(old_rows, weight=np.where(days < 5, 1e-6, 1.0)) == ()
    # Days of +0.1 and of -0.1 by turns: their standard error is 0.1 / sqrt(9).
    uneven = proven - 0.05 - np.where(days % 2, 0.1, -0.1)
    assert refit(uneven, blocks=days) == ()
    assert refit(uneven - 0.02, blocks=days) == (
        "the refit's mean of label - prediction is +0.0700, the proven model's +0.0000; it may be 0.067 further from 0",
    )
    assert refit(old_rows, blocks=np.zeros(100)) == (), "one day has no standard error, and says nothing"


def test_without_rows_that_both_learned_a_worse_loss_speaks_against_the_refit() -> None:
    nothing = np.zeros(0)
    found = guard_refit(
        proven_prediction=nothing,
        refit_prediction=nothing,
        proven_loss=[0.5],
        refit_loss=[0.6],
        label=nothing,
        task="binary",
    )
    assert found == ("the refit's loss is 0.60000, the proven model's 0.50000, on rows the refit saw",)
