"""Snapshot: exactly the accepted, mature rows whose label was known at the moment; the same again whenever asked."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.snapshot import LabelRules, Snapshot, training_rows

RULES = LabelRules(
    time="at",
    key=("key",),
    target="late",
    known_at="known_at",
    matures_after=timedelta(days=1),
    grace=timedelta(days=7),
)


def day(number: float) -> datetime:
    return datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=number)


def curated(*rows: tuple[str, datetime, int]) -> pl.LazyFrame:
    schema: dict[str, pl.DataType] = {"key": pl.String(), "at": pl.Datetime("us", "UTC"), "_batch": pl.Int64()}
    return pl.LazyFrame(list(rows), schema=schema, orient="row").with_columns(x=pl.col("key") + "!")


def labels(*rows: tuple[str, bool | None, datetime, int]) -> pl.LazyFrame:
    schema: dict[str, pl.DataType] = {
        "key": pl.String(),
        "late": pl.Boolean(),
        "known_at": pl.Datetime("us", "UTC"),
        "_batch": pl.Int64(),
    }
    return pl.LazyFrame(list(rows), schema=schema, orient="row")


def taken(snapshot: Snapshot) -> list[tuple[str, bool]]:
    return snapshot.rows.select("key", "late").rows()


def test_rows_come_by_time_and_key_with_their_label_and_without_the_batch_number() -> None:
    rows = curated(("b", day(0), 1), ("c", day(1), 2), ("a", day(0), 2))
    known = labels(("a", True, day(1), 1), ("b", False, day(1), 1), ("c", True, day(2), 1))
    snapshot = training_rows(rows, known, rules=RULES, as_of=day(9), up_to_batch=2)
    assert snapshot.rows.columns == ["key", "at", "x", "late"]
    assert taken(snapshot) == [("a", True), ("b", False), ("c", True)]
    assert (snapshot.coverage(since=day(0)), snapshot.missing) == (1.0, 0)
    assert snapshot.until == day(1) + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("as_of", "up_to_batch", "expected"),
    [
        (day(1) - timedelta(microseconds=1), 1, []),  # not mature, although the label has come
        (day(1), 1, [("a", True)]),  # mature from this moment on
        (day(9), 0, []),  # a batch that came later than the snapshot's
        (day(9), 1, [("a", True)]),
    ],
)
def test_a_row_is_taken_when_it_is_mature_and_its_batch_belongs_to_the_snapshot(
    as_of: datetime, up_to_batch: int, expected: list[tuple[str, bool]]
) -> None:
    rows, known = curated(("a", day(0), 1)), labels(("a", True, day(0.2), 1))
    assert taken(training_rows(rows, known, rules=RULES, as_of=as_of, up_to_batch=up_to_batch)) == expected


@pytest.mark.parametrize(("as_of", "late"), [(day(3), True), (day(5), False), (day(4), False)])
def test_of_several_labels_the_newest_that_was_known_holds(as_of: datetime, *, late: bool) -> None:
    known = labels(("a", False, day(4), 2), ("a", True, day(2), 3), ("a", None, day(3), 4))
    snapshot = training_rows(curated(("a", day(0), 1)), known, rules=RULES, as_of=as_of, up_to_batch=9)
    assert taken(snapshot) == [("a", late)]


def test_a_correction_with_the_same_moment_holds_by_its_later_batch() -> None:
    known = labels(("a", False, day(2), 2), ("a", True, day(2), 1))
    snapshot = training_rows(curated(("a", day(0), 1)), known, rules=RULES, as_of=day(9), up_to_batch=1)
    assert taken(snapshot) == [("a", False)]


def test_a_label_that_does_not_come_is_missing_only_after_the_grace() -> None:
    rows, known = curated(("a", day(0), 1), ("b", day(0), 1)), labels(("a", True, day(1), 1))
    within = training_rows(rows, known, rules=RULES, as_of=day(8), up_to_batch=1)
    beyond = training_rows(rows, known, rules=RULES, as_of=day(8.1), up_to_batch=1)
    assert (within.missing, beyond.missing) == (0, 1)


@pytest.mark.parametrize(("since", "expected"), [(day(0), 0.5), (day(1), 1 / 3), (day(2), 0.0)])
def test_coverage_is_that_of_the_rows_that_are_judged_so_that_old_labels_hide_no_gap(
    since: datetime, expected: float
) -> None:
    rows = curated(("a", day(0), 1), ("b", day(1), 1), ("c", day(2), 1), ("d", day(3), 1))
    known = labels(("a", True, day(1), 1), ("b", True, day(2), 1))
    snapshot = training_rows(rows, known, rules=RULES, as_of=day(9), up_to_batch=1)
    assert snapshot.coverage(since=since) == expected


@pytest.mark.parametrize("known", [None, labels()])
def test_without_labels_there_is_nothing_to_learn_from(known: pl.LazyFrame | None) -> None:
    snapshot = training_rows(curated(("a", day(0), 1)), known, rules=RULES, as_of=day(9), up_to_batch=1)
    assert (snapshot.rows.height, snapshot.coverage(since=day(0)), snapshot.missing, snapshot.until) == (
        (0, 0.0, 1, day(8))
    )


def test_without_mature_rows_the_coverage_is_not_a_number() -> None:
    snapshot = training_rows(curated(), labels(), rules=RULES, as_of=day(9), up_to_batch=1)
    assert math.isnan(snapshot.coverage(since=day(0)))


def test_the_id_follows_the_rows_and_their_labels_and_nothing_else() -> None:
    rows, known = curated(("a", day(0), 1)), labels(("a", True, day(1), 1))
    first = training_rows(rows, known, rules=RULES, as_of=day(2), up_to_batch=1)
    later = training_rows(rows, known, rules=RULES, as_of=day(3), up_to_batch=2)
    relabelled = training_rows(rows, labels(("a", False, day(1), 1)), rules=RULES, as_of=day(2), up_to_batch=1)
    more = training_rows(curated(("a", day(0), 1), ("b", day(0), 1)), known, rules=RULES, as_of=day(2), up_to_batch=1)
    assert first.id == later.id == more.id
    assert first.id != relabelled.id


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(12)))
def test_the_order_in_which_a_table_gives_its_rows_changes_nothing(order: list[int]) -> None:
    rows = curated(*((f"k{n}", day(n % 3), n % 2) for n in range(12))).collect()
    known = labels(*((f"k{n % 9}", n % 4 == 0, day(1 + n / 3), n) for n in range(12))).collect()
    expected = training_rows(rows.lazy(), known.lazy(), rules=RULES, as_of=day(4), up_to_batch=1)
    shuffled = training_rows(rows[order].lazy(), known[order].lazy(), rules=RULES, as_of=day(4), up_to_batch=1)
    assert shuffled.rows.equals(expected.rows)
    assert shuffled.id == expected.id


def test_the_key_may_be_the_event_time_itself() -> None:
    """As with hourly rows, of which there is one for each moment."""
    known = pl.LazyFrame({"at": [day(0)], "late": [True], "known_at": [day(1)], "_batch": [1]})
    rows = curated(("a", day(0), 1), ("b", day(1), 1))
    snapshot = training_rows(rows, known, rules=replace(RULES, key=("at",)), as_of=day(2), up_to_batch=1)
    assert taken(snapshot) == [("a", True)]
