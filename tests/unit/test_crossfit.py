from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelling.crossfit import cross_fitted
from modelling.metrics import row_losses
from modelling.spec import Spec
from modelling.training import fit
from tests.unit.modelling_world import FAST, START, pipeline_in, rides

NO_GAP = timedelta(0)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return pipeline_in(tmp_path).spec


def asked(spec: Spec, frame: pl.DataFrame, since: datetime, *, gap: timedelta = NO_GAP) -> np.ndarray:
    return cross_fitted(spec, frame, FAST, folds=2, since=since, gap=gap, seed=7, threads=1)


def test_each_row_is_asked_of_a_model_of_all_other_folds(spec: Spec) -> None:
    """Rows come each half hour: 2,000 of them, of which the last 400 are asked in two folds of 200."""
    frame, since = rides(), START + timedelta(minutes=30) * 1_600
    found = asked(spec, frame, since)
    for first, last in ((1_600, 1_800), (1_800, 2_000)):
        others = pl.concat([frame[:first], frame[last:]])
        by_hand = fit(spec, others, FAST, seed=7, threads=1).predict(frame[first:last])
        np.testing.assert_array_equal(found[first - 1_600 : last - 1_600], by_hand)


def test_rows_near_a_fold_are_left_out_with_it(spec: Spec) -> None:
    frame, since = rides(), START + timedelta(minutes=30) * 1_600
    found = asked(spec, frame, since, gap=timedelta(hours=5))
    others = pl.concat([frame[:1_590], frame[1_810:]])  # ten half hours on either side, the tenth included
    by_hand = fit(spec, others, FAST, seed=7, threads=1).predict(frame[1_600:1_800])
    np.testing.assert_array_equal(found[:200], by_hand)


def test_scores_of_rows_that_were_learned_are_sharper_than_those_of_rows_that_were_not(spec: Spec) -> None:
    """What cross-fitting is for: its loss is that of rows that come later, the model's own on its rows is not."""
    frame, later = rides(), rides(20_000, seed=9)
    model = fit(spec, frame, FAST, seed=7, threads=1)
    own, unseen = (
        row_losses("binary", "logloss", model.labels(frame), prediction).mean()
        for prediction in (model.predict(frame), asked(spec, frame, START))
    )
    true = row_losses("binary", "logloss", model.labels(later), model.predict(later)).mean()
    assert own < 0.95 * true
    assert unseen == pytest.approx(true, rel=0.03)


def test_rows_of_one_moment_are_in_one_fold(spec: Spec) -> None:
    frame = rides(400)
    same = frame.with_columns(at=pl.lit(START + timedelta(days=1), dtype=pl.Datetime("us", "UTC")))
    assert np.isnan(asked(spec, same, START)).all(), "one fold, and no other row to learn from"


def test_a_gap_that_leaves_nothing_to_learn_from_gives_nan(spec: Spec) -> None:
    assert np.isnan(asked(spec, rides(400), START, gap=timedelta(days=90))).all()


def test_without_rows_there_is_nothing(spec: Spec) -> None:
    assert asked(spec, rides(100), START + timedelta(days=900)).shape == (0,)


def test_several_classes_have_a_column_each_also_where_a_fold_does_not_know_one(spec: Spec) -> None:
    """The class "rare" occurs in the last fold alone: the model that is asked about it has never met it."""
    number = pl.int_range(pl.len())
    kind = (
        pl.when(number >= 1_900)
        .then(pl.lit("rare"))
        .otherwise(pl.when(pl.col("late")).then(pl.lit("a")).otherwise(pl.lit("b")))
    )
    many = replace(spec, task="multiclass")
    found = asked(many, rides().with_columns(late=kind), START + timedelta(minutes=30) * 1_600)
    assert found.shape == (400, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found[200:, 2] == 0).all()
    assert (found[:200, 2] > 0).all()
