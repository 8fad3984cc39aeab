"""The index of a lookup tells a single row of now what `look_up` tells it; held in parts, it tells no less."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.lookup import look_up
from storage.lookup_index import Asked, LookupIndex
from tests.unit.test_lookup import Case, at, cases, lookup, table, weather

ALWAYS = datetime(9999, 1, 1, tzinfo=UTC)


def key_of(row: dict[str, Any], on: tuple[str, ...]) -> Any:
    return row[on[0]] if len(on) == 1 else tuple(row[name] for name in on)


def told(index: LookupIndex, row: dict[str, Any]) -> tuple[Any, ...]:
    found = index.find(key_of(row, index.asked.on), row["leaves"])
    return (None,) * len(index.asked.names) if found is None else found


def batch_by_batch(asked: Asked, observed: pl.LazyFrame, *, most: int = 2_000_000) -> LookupIndex:
    index = LookupIndex.empty(asked)
    for number in (1, 2, 3):
        index = index.joined(asked.needed(observed.filter(pl.col("_batch") == number)).collect(), most=most)
    return index


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_a_row_of_now_is_told_what_look_up_tells_it(case: Case) -> None:
    rows, observed = case.frames()
    rows = rows.drop("_known_at")
    expected = look_up(rows, observed, case.how, as_known_at=ALWAYS).collect().select("temp", "sky").rows()
    asked = Asked.by(case.how)
    whole = LookupIndex.empty(asked).joined(asked.needed(observed).collect())
    assert [told(whole, row) for row in case.rows] == expected
    assert [told(batch_by_batch(asked, observed), row) for row in case.rows] == expected


@settings(max_examples=50, deadline=None)
@given(case=cases(), most=st.integers(1, 6))
def test_what_is_bounded_tells_the_same_or_nothing_and_the_same_of_late_moments(case: Case, most: int) -> None:
    """A small bound stands for the real one: 24 observations come in three batches, of which 1 to 6 are kept."""
    _, observed = case.frames()
    asked = Asked.by(case.how)
    small, whole = batch_by_batch(asked, observed, most=most), batch_by_batch(asked, observed)
    keys = len(whole.spans)
    assert len(small.available) <= most + keys
    for row in case.rows:
        asks = (
            None
            if row["leaves"] is None
            else (row["leaves"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) - asked.before
        )
        expected = told(whole, row) if asks is None or asks >= small.since else (None, None)
        assert told(small, row) == expected


def test_definitions_that_ask_the_same_are_equal() -> None:
    assert Asked.by(lookup(table())) == Asked.by(lookup(table()))
    others = [lookup(table(), max_age="1h"), lookup(table(), before="1h"), lookup(table(delay="1h"))]
    others += [lookup(table(), columns=("sky",)), lookup(table(known_at="told"))]
    assert len({Asked.by(how) for how in (lookup(table()), *others)}) == 6


@pytest.mark.parametrize(("moment", "expected"), [(at(1), (10.0,)), (at(0.999), None), (None, None)])
def test_an_observation_is_told_from_its_moment_on(moment: datetime | None, expected: tuple[float] | None) -> None:
    asked = Asked.by(lookup(table()))
    index = LookupIndex.empty(asked).joined(asked.needed(weather(("A", 1, 10.0, 1, 9))).collect())
    assert index.find("A", moment) == expected
    assert index.find("B", moment) is None
    assert LookupIndex.empty(asked).find("A", moment) is None


def test_naive_moments_are_told_as_a_request_would_bring_them() -> None:
    asked = Asked.by(lookup(table(), columns=("told",)))
    naive = weather(("A", 1, 10.0, 1, 9)).with_columns(told=pl.lit(at(1)).dt.replace_time_zone(None))
    index = LookupIndex.empty(asked).joined(asked.needed(naive).collect())
    assert index.find("A", at(2)) == (at(1),)
