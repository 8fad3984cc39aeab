from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.metrics import baseline_prediction, row_losses
from modelling.rungs.evidence import Scored
from modelling.spec import Spec
from modelling.splits import just_after, windows_between
from modelling.training import fit
from tests.unit.modelling_world import FAST, START, pipeline_in, rides
from tests.unit.prequential import prequential
from validation.errors import DefinitionError

DAY = timedelta(days=1)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return pipeline_in(tmp_path).spec


def score(
    spec: Spec, frame: pl.DataFrame, *, since: datetime = START + 20 * DAY, train: str = "all", most: int = 8
) -> Scored:
    """Weekly windows with a gap of a day."""
    return prequential(
        spec,
        frame,
        FAST,
        since=since,
        window=7 * DAY,
        gap=DAY,
        train=train,
        max_windows=most,
        seed=7,
        threads=1,
    )


def before(frame: pl.DataFrame, end: datetime, start: datetime = START) -> pl.DataFrame:
    return frame.filter(pl.col("at") < end, pl.col("at") >= start)


def test_each_window_is_predicted_by_the_fit_on_all_that_lies_before_its_gap(spec: Spec) -> None:
    frame = rides(48 * 41)  # to the end of day 40: windows from days 20, 27 and 34, less a moment
    end = just_after(frame, time="at")
    assert end is not None
    got = score(spec, frame)
    starts = [START + 20 * DAY, end - 14 * DAY, end - 7 * DAY]
    parts = [before(frame, stop, start) for start, stop in zip(starts, [*starts[1:], end], strict=True)]
    models = [fit(spec, before(frame, start - DAY), FAST, seed=7, threads=1) for start in starts]
    assert got.rows.equals(frame.filter(pl.col("at") >= START + 20 * DAY))
    expected = np.concatenate([model.predict(part) for model, part in zip(models, parts, strict=True)])
    np.testing.assert_array_equal(got.prediction, expected)
    np.testing.assert_array_equal(got.labels, got.rows["late"].cast(pl.Float64).to_numpy())
    np.testing.assert_array_equal(got.loss, row_losses("binary", "logloss", got.labels, got.prediction))
    assert (got.windows, got.fits, got.since, got.classes) == (3, 3, START + 20 * DAY, ())
    assert got.newest is not None
    assert got.newest.text == models[-1].text


def test_the_baseline_of_a_window_is_the_best_constant_of_the_rows_before_it(spec: Spec) -> None:
    frame = rides(48 * 27)
    got, past = score(spec, frame), before(frame, START + 19 * DAY)
    constant = baseline_prediction("binary", "logloss", past["late"].cast(pl.Float64).to_numpy())
    np.testing.assert_array_equal(got.baseline_loss, row_losses("binary", "logloss", got.labels, constant))


def test_a_training_span_ends_at_the_gap_and_begins_that_long_before_the_window(spec: Spec) -> None:
    frame = rides(48 * 27)
    model = fit(spec, before(frame, START + 19 * DAY, START + 10 * DAY), FAST, seed=7, threads=1)
    np.testing.assert_array_equal(score(spec, frame, train="10d").prediction, model.predict(frame.tail(48 * 7)))


def test_a_feature_that_tells_the_label_only_from_a_windows_start_on_does_not_help(spec: Spec) -> None:
    """The refits may use what is known before their window, and nothing of the window itself."""
    frame, since = rides(48 * 26), START + 20 * DAY
    told = pl.when(pl.col("at") >= since).then(pl.when("late").then(pl.lit("north")).otherwise(pl.lit("south")))
    leaking = score(spec, frame.with_columns(stop=told.otherwise("stop")))
    model = fit(spec, before(frame, since - DAY), FAST, seed=7, threads=1)
    np.testing.assert_array_equal(leaking.prediction, model.predict(leaking.rows))
    two = score(spec, rides(48 * 34).with_columns(stop=told.otherwise("stop")))
    first = two.rows["at"] < START + 27 * DAY - timedelta(minutes=31)
    assert two.loss[~first.to_numpy()].mean() < two.loss[first.to_numpy()].mean()  # known before the second window


def test_rows_after_a_window_never_change_its_predictions(spec: Spec) -> None:
    frame, end = rides(48 * 34), START + 26 * DAY
    later = pl.col("at") >= end
    changed = frame.with_columns(
        late=pl.when(later).then(~pl.col("late")).otherwise("late"),
        wind=pl.when(later).then(-pl.col("wind")).otherwise("wind"),
    )
    one, other = score(spec, frame), score(spec, changed)
    early = (one.rows["at"] < end).to_numpy()
    assert one.windows == 2
    np.testing.assert_array_equal(one.prediction[early], other.prediction[early])
    assert not np.array_equal(one.prediction[~early], other.prediction[~early])


def test_labels_within_the_gap_before_a_window_are_not_used(spec: Spec) -> None:
    frame, since = rides(48 * 26), START + 20 * DAY
    unripe = (pl.col("at") >= since - DAY) & (pl.col("at") < since)
    changed = frame.with_columns(late=pl.when(unripe).then(~pl.col("late")).otherwise("late"))
    np.testing.assert_array_equal(score(spec, frame).prediction, score(spec, changed).prediction)


def test_refits_that_know_other_classes_share_one_list(spec: Spec) -> None:
    """A class that appears in the second window is none that its refit knows, and the third's refit knows it."""
    manifold = replace(spec, task="multiclass")
    kinds = pl.when(pl.col("wind") > 12).then(pl.lit("b")).otherwise(pl.lit("c"))
    new = pl.when((pl.col("at") >= START + 28 * DAY) & (pl.col("stop") == "north")).then(pl.lit("a"))
    frame = rides(48 * 41).with_columns(late=new.otherwise(kinds))
    got = score(manifold, frame)
    day = ((got.rows["at"] - START) / DAY).to_numpy()
    assert (got.classes, got.prediction.shape) == (("a", "b", "c"), (got.rows.height, 3))
    np.testing.assert_allclose(got.prediction.sum(axis=1), 1.0)
    assert (got.prediction[day < 33.9, 0] == 0).all()
    assert (got.prediction[day > 34, 0] > 0).all()
    unknown = (got.labels == 0) & (day < 33.9)
    assert unknown.any()
    np.testing.assert_allclose(got.loss[unknown], -np.log(1e-15))
    one = fit(manifold, before(frame, START + 19 * DAY), FAST, seed=7, threads=1)
    first = got.rows.filter(pl.Series(day < 26.9))
    own = row_losses("multiclass", "logloss", one.labels(first), one.predict(first))
    np.testing.assert_array_equal(got.loss[day < 26.9], own)


def test_windows_without_anything_to_learn_from_are_left_out(spec: Spec) -> None:
    frame = rides(48 * 27)
    got = score(spec, frame, since=START)
    assert (got.windows, got.fits) == (4, 3)
    assert got.since == START + 6 * DAY - timedelta(minutes=30) + timedelta(microseconds=1)
    assert got.rows["at"].min() == START + 6 * DAY
    uniform = frame.with_columns(late=pl.when(pl.col("at") < START + 10 * DAY).then(1).otherwise(pl.col("ride") % 3))
    assert score(replace(spec, task="multiclass"), uniform, since=START).fits == 2


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_no_rows_are_no_evidence_and_no_error(spec: Spec, task: str) -> None:
    kind = replace(spec, task=task)  # type: ignore[arg-type]
    for frame in (rides(5).clear(), rides(48 * 3)):
        got = score(kind, frame)
        assert (got.rows.height, len(got.loss), len(got.prediction), got.windows, got.fits) == (0, 0, 0, 0, 0)
        assert (got.since, got.newest) == (START + 20 * DAY, None)


def test_a_window_without_rows_costs_no_fit(spec: Spec) -> None:
    frame = rides(48 * 41).filter((pl.col("at") < START + 20 * DAY) | (pl.col("at") >= START + 35 * DAY))
    got = score(spec, frame)
    assert (got.windows, got.fits, got.rows.height) == (1, 1, 48 * 6)


def test_progress_is_told_after_each_window(spec: Spec) -> None:
    told: list[tuple[int, int]] = []
    prequential(
        spec, rides(48 * 34), FAST, since=START + 20 * DAY, window=7 * DAY, gap=DAY, train="all", seed=7, threads=1,
        progress=lambda done, of: told.append((done, of)),
    )  # fmt: skip
    assert told == [(1, 2), (2, 2)]


def test_a_wrong_training_span_is_the_authors_error(spec: Spec) -> None:
    with pytest.raises(DefinitionError, match="train must be a duration"):
        score(spec, rides(48 * 27), train="a week")


@pytest.mark.parametrize(
    ("days", "most", "expected"),
    [
        (0.0, 8, []),
        (-3.0, 8, []),
        (0.1, 8, [(0, 0.1)]),
        (7.0, 8, [(0, 7)]),
        (10.0, 8, [(0, 10)]),
        (10.5, 8, [(0, 3.5), (3.5, 10.5)]),
        (21.0, 8, [(0, 7), (7, 14), (14, 21)]),
        (21.0, 2, [(7, 14), (14, 21)]),
        (17.0, 2, [(0, 10), (10, 17)]),
        (17.5, 2, [(3.5, 10.5), (10.5, 17.5)]),
    ],
)
def test_windows_end_at_the_end_and_the_oldest_takes_what_is_left(
    days: float, most: int, expected: list[tuple[float, float]]
) -> None:
    got = windows_between(START, START + days * DAY, window=7 * DAY, max_windows=most)
    assert [((start - START) / DAY, (stop - START) / DAY) for start, stop in got] == expected


@given(hours=st.integers(1, 2_000), length=st.integers(1, 400), most=st.integers(1, 9))
def test_windows_follow_each_other_within_their_bounds(hours: int, length: int, most: int) -> None:
    end, window = START + timedelta(hours=hours), timedelta(hours=length)
    got = windows_between(START, end, window=window, max_windows=most)
    assert 1 <= len(got) <= most
    assert got[0][0] >= START
    assert got[-1][1] == end
    assert all(one[1] == other[0] for one, other in pairwise(got))
    assert all(stop - start == window for start, stop in got[1:])
    assert got[0][1] - got[0][0] <= 1.5 * window
    assert len(got) == 1 or got[0][1] - got[0][0] >= 0.5 * window
