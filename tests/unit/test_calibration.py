from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelling.calibration import MIN_OF_KIND, Calibration, Table, fit_calibration, unseen_calibration
from modelling.metric_table import auc
from modelling.metrics import row_losses
from modelling.spec import Spec, Training
from tests.unit.modelling_world import pipeline_in, rides
from validation.errors import DefinitionError

Array = NDArray[np.float64]
Predict = Callable[[pl.DataFrame], Array]
IDENTITY = Table(scores=(0.0, 1.0), chances=(0.0, 1.0))


def sigmoid(value: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-value)))


def too_sure(rows: int, seed: int) -> tuple[Array, Array]:
    """Scores whose log odds are twice what they should be, and labels."""
    random = np.random.default_rng(seed)
    odds = random.normal(-1, 1.5, rows)
    return sigmoid(2 * odds), (random.random(rows) < sigmoid(odds)).astype(np.float64)


def test_scores_that_are_too_sure_are_corrected_and_keep_their_order() -> None:
    found = fit_calibration(*too_sure(5_000, seed=1))
    assert found is not None
    scores, labels = too_sure(20_000, seed=2)
    corrected = found.many(scores)
    truth = sigmoid(np.log(scores / (1 - scores)) / 2)
    loss = [row_losses("binary", "logloss", labels, p).mean() for p in (scores, corrected, truth)]
    assert loss[1] - loss[2] < 0.1 * (loss[0] - loss[2])
    assert auc(labels == 1, corrected) == auc(labels == 1, scores)
    assert abs(corrected.mean() - labels.mean()) < 0.01


def test_several_classes_are_corrected_each_and_sum_to_one() -> None:
    random = np.random.default_rng(3)
    odds = random.normal(0, 1, (6_000, 3))
    chances = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    labels = (random.random(6_000)[:, None] > chances.cumsum(axis=1)).sum(axis=1).astype(np.float64)
    sure = chances**3 / (chances**3).sum(axis=1, keepdims=True)
    found = fit_calibration(sure[:3_000], labels[:3_000])
    assert found is not None
    corrected = found.many(sure[3_000:])
    np.testing.assert_allclose(corrected.sum(axis=1), 1.0)
    before, after, best = (
        row_losses("multiclass", "logloss", labels[3_000:], p).mean()
        for p in (sure[3_000:], corrected, chances[3_000:])
    )
    assert after - best < 0.35 * (before - best)


def test_a_class_that_is_rare_keeps_its_scores_and_rare_labels_make_no_table() -> None:
    scores, labels = np.linspace(0.1, 0.9, 200), np.arange(200) < MIN_OF_KIND
    assert fit_calibration(scores, labels.astype(np.float64)) is not None
    assert fit_calibration(scores, (np.arange(200) < MIN_OF_KIND - 1).astype(np.float64)) is None
    kinds = np.where(np.arange(200) < 3, 2.0, np.arange(200) % 2)
    found = fit_calibration(np.full((200, 3), 1 / 3), kinds)
    assert found is not None
    assert [table is None for table in found.tables] == [False, False, True]


def test_weights_count_rows() -> None:
    scores, labels = too_sure(4_000, seed=4)
    weights = np.where(labels == 1, 3.0, 1.0)
    plain, weighted = fit_calibration(scores, labels), fit_calibration(scores, labels, weights)
    assert plain is not None
    assert weighted is not None
    rate = weighted.many(scores)
    assert rate.mean() > plain.many(scores).mean() + 0.1
    assert abs((rate * weights).sum() / weights.sum() - (labels * weights).sum() / weights.sum()) < 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 5))
def test_one_row_gets_what_many_get_to_the_last_bit(scores: list[float], seed: int) -> None:
    found = fit_calibration(*too_sure(1_000, seed=seed))
    assert found is not None
    assert [found.one(score) for score in scores] == found.many(np.array(scores)).tolist()
    wide = Calibration(tables=(found.tables[0], None, found.tables[0]), rows=1)
    rows = np.array([[score, 0.3, 1 - score] for score in scores])
    assert [wide.one(row) for row in rows.tolist()] == wide.many(rows).tolist()


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2 * MIN_OF_KIND, max_size=150))
def test_whatever_the_scores_order_is_kept_and_nothing_becomes_certain(rows: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    found = fit_calibration(scores, labels)
    if found is not None:
        steps = found.many(np.linspace(0, 1, 101))
        assert all(low < high for low, high in pairwise(steps))
        assert (steps[0], steps[-1]) == (0, 1)
        assert ((found.many(scores) > 0) | (scores == 0)).all()
        assert ((found.many(scores) < 1) | (scores > 1 - 1e-12)).all()


def test_nan_stays_nan() -> None:
    assert np.isnan(IDENTITY.one(float("nan")))
    assert np.isnan(IDENTITY.many(np.array([np.nan]))).all()


def test_a_table_survives_json_and_one_that_falls_is_refused() -> None:
    found = fit_calibration(*too_sure(1_000, seed=1))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Calibration) == found
    for scores, chances in [((0.0, 0.6, 0.5, 1.0), (0.0, 0.1, 0.2, 1.0)), ((0.0, 0.5, 1.0), (0.0, 1.0)), ((), ())]:
        with pytest.raises(DefinitionError, match="a calibration's table must rise from 0 to 1; train anew"):
            Table(scores=scores, chances=chances)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    made = pipeline_in(tmp_path_factory.mktemp("rides")).spec
    return replace(made, training=Training(calibration="isotonic"))


def test_the_table_is_made_of_the_newest_rows_asked_of_trees_of_the_older_ones(spec: Spec) -> None:
    rows, seen = rides(1_000), []

    def grow(older: pl.DataFrame) -> Predict:
        def predict(newer: pl.DataFrame) -> Array:
            seen.extend([older, newer])
            return np.linspace(0.1, 0.9, newer.height)

        return predict

    found = unseen_calibration(spec, rows, grow)
    older, newer = seen
    assert found is not None
    assert (older.height, newer.height, found.rows) == (749, 251, 251)
    assert older["ride"].to_list() == list(range(749))


def test_none_is_made_unasked_of_no_rows_or_where_the_older_rows_lack_a_class(spec: Spec) -> None:
    def never(older: pl.DataFrame) -> Predict:
        raise AssertionError(f"nothing should be fitted on {older.height} rows")

    assert unseen_calibration(replace(spec, training=Training()), rides(1_000), never) is None
    assert unseen_calibration(spec, rides(10).clear(), never) is None
    new = rides(1_000).with_columns(late=rides(1_000)["ride"] > 800)
    assert unseen_calibration(spec, new, never) is None
