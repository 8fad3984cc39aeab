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


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 5))
def test_one_row_gets_what_many_get_to_the_last_bit(scores: list[float], seed: int) -> None:
    found = fit_calibration(*too_sure(1_000, seed=seed))
    assert found is not None
    assert [found.one(score) for score in scores] == found.many(np.array(scores)).tolist()
    wide = Calibration(tables=(found.tables[0], None, found.tables[0]), rows=1)
    rows = np.array([[score, 0.3, 1 - score] for score in scores])
    assert [wide.one(row) for row in rows.tolist()] == wide.many(rows).tolist()


@settings(max_examples=30, deadline=None)
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


@pytest.mark.parametrize("parts", [2, 5])
def test_the_table_is_made_of_all_rows_each_asked_of_trees_of_the_others(
    spec: Spec, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many rows there are two parts: the boundary is lowered for it."""
    monkeypatch.setattr("modelling.calibration.PARTS", ((1_000 if parts == 2 else 1_001, 2), (0, 5)))
    rows, seen = rides(1_000), []

    def grow(rest: pl.DataFrame) -> Predict:
        def predict(asked: pl.DataFrame) -> Array:
            seen.append((rest["ride"].to_list(), asked["ride"].to_list()))
            return np.where(asked["late"], 0.8, 0.2)

        return predict

    found = unseen_calibration(spec, rows, grow)
    assert found is not None
    assert found.rows == 1_000
    assert len(seen) == parts
    assert all(sorted(rest + asked) == list(range(1_000)) for rest, asked in seen)
    assert sorted(row for _, asked in seen for row in asked) == list(range(1_000))
    assert seen[0][1][:30] == [*range(25), *range(parts * 25, parts * 25 + 5)]
    assert found.many(np.array([0.8]))[0] > 0.95


def test_rows_of_one_moment_are_in_one_half(spec: Spec) -> None:
    rows = rides(1_000).with_columns(at=pl.col("at").dt.truncate("1d"))

    def grow(rest: pl.DataFrame) -> Predict:
        def predict(asked: pl.DataFrame) -> Array:
            assert not set(rest["at"]) & set(asked["at"])
            return np.full(asked.height, 0.5)

        return predict

    assert unseen_calibration(spec, rows, grow) is not None


def test_a_class_that_one_half_lacks_is_given_nothing_there_and_keeps_its_scores(spec: Spec) -> None:
    rows = rides(1_000).with_columns(late=pl.when(pl.col("ride") < 20).then(pl.lit("new")).otherwise(pl.col("stop")))
    widths = []

    def grow(rest: pl.DataFrame) -> Predict:
        classes = rest["late"].n_unique()
        widths.append(classes)
        return lambda asked: np.full((asked.height, classes), 1 / classes)

    found = unseen_calibration(replace(spec, task="multiclass"), rows, grow)
    assert found is not None
    assert sorted(widths) == [3, 4, 4, 4, 4]
    assert [table is None for table in found.tables] == [True, False, False, False]


def test_none_is_made_unasked_of_no_rows_or_where_some_rows_hold_one_class(spec: Spec) -> None:
    def never(rest: pl.DataFrame) -> Predict:
        raise AssertionError(f"nothing should be fitted on {rest.height} rows")

    assert unseen_calibration(replace(spec, training=Training()), rides(1_000), never) is None
    assert unseen_calibration(spec, rides(10).clear(), never) is None
    early = rides(1_000).with_columns(late=pl.col("ride").is_between(30, 45))
    assert unseen_calibration(spec, early, never) is None
