from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from modelling.splits import split

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
