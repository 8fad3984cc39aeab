from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.splits import Fold, inner_split, rolling, split, windows_between

START = datetime(2024, 1, 1, tzinfo=UTC)


def frame(hours: list[int]) -> pl.DataFrame:
    at = [START + timedelta(hours=hour) for hour in hours]
    return pl.DataFrame({"at": pl.Series(at, dtype=pl.Datetime("us", "UTC")), "row": range(len(hours))})


def test_the_newest_span_is_held_out_and_the_gap_before_it_belongs_to_nobody() -> None:
    parts = split(frame(list(range(24 * 10))), time="at", holdout="2d", gap="1d", train="all")
    assert parts.holdout["row"].to_list() == list(range(192, 240))
    assert parts.train["row"].to_list() == list(range(168))
    assert parts.holdout_start == START + timedelta(hours=191, microseconds=1)
    assert parts.trained_until == START + timedelta(hours=167, microseconds=1)
    assert parts.shortfall is None


def test_the_holdout_starts_no_earlier_than_the_champions_training_ended() -> None:
    parts = split(
        frame(list(range(100))),
        time="at",
        holdout="10d",
        gap=timedelta(0),
        train="all",
        holdout_from=START + timedelta(hours=90),
    )
    assert parts.holdout["row"].to_list() == list(range(90, 100))
    assert parts.train.height == 90


def test_a_training_span_ends_at_the_holdout() -> None:
    parts = split(frame(list(range(100))), time="at", holdout="10h", gap="1h", train="20h")
    assert parts.train["row"].to_list() == list(range(70, 89))


def test_rows_that_are_missing_are_told_and_not_raised() -> None:
    newer = START + timedelta(days=9)
    no_holdout = split(frame([0, 1]), time="at", holdout="1d", gap="1h", train="all", holdout_from=newer)
    assert no_holdout.shortfall == "no mature row is from 2024-01-10 00:00 or later: wait for labels"
    no_train = split(frame([0, 1]), time="at", holdout="1d", gap="1h", train="all")
    assert "no mature row is left to train on" in (no_train.shortfall or "")
    assert split(frame([]), time="at", holdout="1d", gap="1h", train="all").shortfall is not None


@given(
    hours=st.lists(st.integers(0, 500), max_size=60),
    holdout=st.integers(1, 200),
    gap=st.integers(0, 100),
    train=st.one_of(st.just("all"), st.integers(1, 300)),
    since=st.one_of(st.none(), st.integers(0, 600)),
)
def test_training_is_earlier_than_the_holdout_by_more_than_the_gap_and_no_row_is_in_both(
    hours: list[int], holdout: int, gap: int, train: int | str, since: int | None
) -> None:
    parts = split(
        frame(hours),
        time="at",
        holdout=timedelta(hours=holdout),
        gap=timedelta(hours=gap),
        train=timedelta(hours=train) if isinstance(train, int) else train,
        holdout_from=None if since is None else START + timedelta(hours=since),
    )
    assert set(parts.train["row"]).isdisjoint(parts.holdout["row"])
    assert parts.trained_until <= parts.holdout_start - timedelta(hours=gap)
    assert all(moment < parts.trained_until for moment in parts.train["at"])
    assert all(moment >= parts.holdout_start for moment in parts.holdout["at"])
    if since is not None:
        assert parts.holdout_start >= START + timedelta(hours=since)


def rows_of(fold: Fold) -> tuple[list[int], list[int]]:
    return fold.train.tolist(), fold.validation.tolist()


def test_an_inner_split_takes_the_newest_share_and_leaves_the_gap_out() -> None:
    rows = frame(list(range(100)))
    fold = inner_split(rows, time="at", gap="5h")
    assert rows_of(fold) == (list(range(74)), list(range(79, 100)))
    assert (fold.start, fold.stop) == (START + timedelta(hours=79), START + timedelta(hours=99, microseconds=1))
    assert fold.train_rows(rows)["row"].to_list() == list(range(74))
    assert fold.validation_rows(rows)["row"].to_list() == list(range(79, 100))
    assert fold.teaches


def test_rows_of_one_moment_are_all_on_one_side() -> None:
    fold = inner_split(frame([0] * 50 + [1] * 50), time="at", gap=timedelta(0), share=0.2)
    assert rows_of(fold) == (list(range(50)), list(range(50, 100)))


def test_windows_roll_with_the_rows_before_them_behind_a_gap() -> None:
    rows = frame(list(range(100)))
    older, newer = rolling(rows, time="at", window="10h", gap="2h", windows=2)
    assert rows_of(older) == (list(range(78)), list(range(80, 90)))
    assert rows_of(newer) == (list(range(88)), list(range(90, 100)))
    assert older.stop == newer.start


def test_windows_roll_with_a_span_of_the_rows_before_them_alone() -> None:
    folds = rolling(frame(list(range(100))), time="at", window="10h", gap="2h", windows=2, train="20h")
    assert [(fold.train[0], fold.train[-1], fold.train.size) for fold in folds] == [(60, 77, 18), (70, 87, 18)]


def test_no_window_begins_before_the_champions_training_ended_and_none_of_its_later_rows_is_lost() -> None:
    since = START + timedelta(hours=73)
    folds = rolling(frame(list(range(100))), time="at", window="10h", gap=timedelta(0), windows=8, since=since)
    assert [fold.validation.size for fold in folds] == [7, 10, 10]
    assert folds[0].start == since


def test_windows_without_rows_to_learn_from_or_to_judge_by_are_left_out() -> None:
    rows = frame([*range(10), *range(30, 40)])
    folds = rolling(rows, time="at", window="10h", gap=timedelta(0), windows=9)
    assert [rows_of(fold) for fold in folds] == [(list(range(10)), list(range(10, 20)))]
    assert rolling(frame([]), time="at", window="1h", gap="1h", windows=3) == ()
    assert rolling(rows, time="at", window="1h", gap="1h", windows=0) == ()
    assert not inner_split(frame([]), time="at", gap="1h").teaches
    assert not inner_split(frame([5]), time="at", gap="1h").teaches


@given(
    hours=st.lists(st.integers(0, 300), max_size=60),
    window=st.integers(1, 50),
    gap=st.integers(0, 30),
    windows=st.integers(1, 6),
    since=st.one_of(st.none(), st.integers(0, 300)),
    train=st.one_of(st.just("all"), st.integers(1, 100)),
    share=st.floats(0.05, 0.95),
)
def test_no_fold_learns_from_its_window_the_gap_before_it_or_later(
    *, hours: list[int], window: int, gap: int, windows: int, since: int | None, train: int | str, share: float
) -> None:
    rows, delay = frame(hours), timedelta(hours=gap)
    folds = rolling(
        rows,
        time="at",
        window=timedelta(hours=window),
        gap=delay,
        windows=windows,
        since=None if since is None else START + timedelta(hours=since),
        train=timedelta(hours=train) if isinstance(train, int) else train,
    )
    judged = np.concatenate([fold.validation for fold in folds]) if folds else np.zeros(0)
    assert len(judged) == len(set(judged.tolist()))
    for fold in (*folds, inner_split(rows, time="at", gap=delay, share=share)):
        assert all(moment < fold.start - delay for moment in fold.train_rows(rows)["at"])
        assert all(fold.start <= moment < fold.stop for moment in fold.validation_rows(rows)["at"])
    assert all(fold.teaches and (since is None or fold.start >= START + timedelta(hours=since)) for fold in folds)


@pytest.mark.parametrize(("hours", "lengths"), [(0, []), (3, [3]), (14, [14]), (15, [5, 10]), (95, [10] * 4)])
def test_windows_between_two_moments_are_whole_and_the_oldest_makes_up_for_the_rest(
    hours: int, lengths: list[int]
) -> None:
    end = START + timedelta(hours=hours)
    spans = windows_between(START, end, window=timedelta(hours=10), max_windows=4)
    assert [(stop - start) / timedelta(hours=1) for start, stop in spans] == lengths
    assert not spans or spans[-1][1] == end
