"""Partitions by time: each row in one of them, whole moments together, whatever the moments are."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.partitions import Partition, cut, within

BEGIN = datetime(2013, 4, 1, tzinfo=UTC)
MOMENT = pl.Datetime("us", "UTC")


def frame(seconds: list[float]) -> pl.DataFrame:
    moments = [BEGIN + timedelta(seconds=value) for value in seconds]
    return pl.DataFrame({"at": pl.Series(moments, dtype=MOMENT), "id": range(len(seconds))})


def parts_of(rows: pl.DataFrame, at_most: int) -> tuple[tuple[Partition, ...], list[pl.DataFrame]]:
    parts = cut(rows.lazy(), time="at", key=("id",), at_most=at_most)
    return parts, [rows.filter(within(part, time="at", key=("id",))) for part in parts]


@given(
    seconds=st.lists(
        st.sampled_from([0.0, 1e-6, 1.0, 2.0, 60.0, 86_400.0, 4e9, -2e9]) | st.floats(0, 1e6), max_size=60
    ),
    at_most=st.integers(1, 20),
)
def test_each_row_is_in_one_partition_and_partitions_follow_each_other(seconds: list[float], at_most: int) -> None:
    rows = frame(seconds)
    parts, found = parts_of(rows, at_most)
    assert [part.rows for part in parts] == [part.height for part in found]
    together = pl.concat([rows.clear(), *found])
    assert together.sort("id").equals(rows)
    for part, before in zip(parts[1:], parts, strict=False):
        assert before.last < part.first or (before.first, before.last, before.pieces) == (
            part.first, part.last, part.pieces,
        )  # fmt: skip
    assert all(part.rows <= at_most for part in parts if part.pieces == 1)
    assert all(part.first == part.last for part in parts if part.pieces > 1)


def test_moments_that_are_close_together_are_told_apart_although_one_row_lies_far_away() -> None:
    parts, _ = parts_of(frame([*(number * 1e-6 for number in range(100)), 3e9]), 30)
    assert [part.rows for part in parts] == [30, 30, 30, 11]


def test_a_moment_with_more_rows_than_a_partition_is_cut_by_its_keys() -> None:
    parts, found = parts_of(frame([0.0] * 10 + [1.0] * 1_000 + [2.0] * 10), 100)
    assert [part.rows for part in parts if part.pieces == 1] == [10, 10]
    pieces = [part for part in parts if part.pieces > 1]
    assert (len(pieces), sum(part.rows for part in pieces)) == (10, 1_000)
    assert max(part.rows for part in pieces) < 200
    assert pl.concat(found)["id"].n_unique() == 1_020


def test_of_no_rows_there_is_no_partition() -> None:
    assert cut(frame([]).lazy(), time="at", key=("id",), at_most=5) == ()


@pytest.mark.parametrize("at_most", [1, 4, 5])
def test_exactly_as_many_rows_as_fit_are_one_partition(at_most: int) -> None:
    parts, _ = parts_of(frame([float(number) for number in range(at_most)]), at_most)
    assert [part.rows for part in parts] == [at_most]
