"""Snapshot: exactly the accepted, mature rows whose label was known at the moment; the same again whenever asked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.snapshot import LabelRules, Question, Snapshot, known_labels, training_rows

MOMENT = pl.Datetime("us", "UTC")
EPOCH = datetime(2013, 1, 1, tzinfo=UTC)

RULES = LabelRules(
    time="at",
    key=("key",),
    target="late",
    known_at="known_at",
    matures_after=timedelta(days=1),
    grace=timedelta(days=7),
)


def day(number: float) -> datetime:
    return EPOCH + timedelta(days=number)


@dataclass(frozen=True)
class Row:
    """A row of the curated table: what it says, and when which batch brought it."""

    key: str
    at: datetime
    batch: int = 1
    x: float | None = 0.0
    came: datetime = EPOCH


@dataclass(frozen=True)
class Label:
    key: str
    late: bool | None
    known_at: datetime
    batch: int = 1
    came: datetime = EPOCH


def curated(*rows: Row) -> pl.LazyFrame:
    schema: dict[str, Any] = {"key": pl.String, "at": MOMENT, "_batch": pl.Int64, "x": pl.Float64, "_known_at": MOMENT}
    return pl.LazyFrame([(r.key, r.at, r.batch, r.x, r.came) for r in rows], schema=schema, orient="row")


def labels(*rows: Label) -> pl.LazyFrame:
    schema: dict[str, Any] = {"key": pl.String, "late": pl.Boolean, "known_at": MOMENT}
    schema |= {"_batch": pl.Int64, "_known_at": MOMENT}
    return pl.LazyFrame([(r.key, r.late, r.known_at, r.batch, r.came) for r in rows], schema=schema, orient="row")


def asked(
    as_of: datetime,
    *,
    as_known_at: datetime | None = None,
    rows: Sequence[int] = (1, 2),
    labels: Sequence[int] = (1, 2),
) -> Question:
    return Question(
        as_of=as_of, as_known_at=as_known_at or as_of, batches={"rows": tuple(rows), "labels": tuple(labels)}
    )


def take(rows: Sequence[Row], known: Sequence[Label] | None, question: Question) -> Snapshot:
    return training_rows(curated(*rows), None if known is None else labels(*known), rules=RULES, question=question)


def taken(snapshot: Snapshot) -> list[tuple[str, bool]]:
    return snapshot.rows.select("key", "late").rows()


def test_rows_come_by_time_and_key_with_their_label_and_without_andons_columns() -> None:
    rows = [Row("b", day(0), 1), Row("c", day(1), 2), Row("a", day(0), 2)]
    known = [
        Label("a", late=True, known_at=day(1)),
        Label("b", late=False, known_at=day(1)),
        Label("c", late=True, known_at=day(2)),
    ]
    snapshot = take(rows, known, asked(day(9)))
    assert snapshot.rows.columns == ["key", "at", "x", "late"]
    assert taken(snapshot) == [("a", True), ("b", False), ("c", True)]
    assert snapshot.batch.to_list() == [2, 1, 2]
    assert (snapshot.coverage(since=day(0)), snapshot.missing) == (1.0, 0)
    assert snapshot.until == day(1) + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("as_of", "accepted", "expected"),
    [
        (day(1) - timedelta(microseconds=1), [1], []),  # not mature, although the label has come
        (day(1), [1], [("a", True)]),  # mature from this moment on
        (day(9), [2], []),  # suspect, refused or dropped: not among the accepted batches
        (day(9), [1], [("a", True)]),
    ],
)
def test_a_row_is_taken_when_it_is_mature_and_its_batch_was_accepted(
    as_of: datetime, accepted: list[int], expected: list[tuple[str, bool]]
) -> None:
    rows, known = [Row("a", day(0))], [Label("a", late=True, known_at=day(0.2))]
    assert taken(take(rows, known, asked(as_of, rows=accepted))) == expected


@pytest.mark.parametrize(("as_known_at", "expected"), [(day(3), []), (day(4), [("a", True)]), (day(5), [("a", True)])])
def test_a_row_counts_from_the_moment_on_at_which_it_was_taken_in(
    as_known_at: datetime, expected: list[tuple[str, bool]]
) -> None:
    """A backfill of old rows is not in the snapshots from before it."""
    rows, known = [Row("a", day(0), came=day(4))], [Label("a", late=True, known_at=day(1))]
    assert taken(take(rows, known, asked(day(9), as_known_at=as_known_at))) == expected


@pytest.mark.parametrize(("as_known_at", "expected"), [(day(2), 1.0), (day(3), 2.0), (day(9), 2.0)])
def test_of_several_versions_of_a_row_the_newest_that_was_known_holds(as_known_at: datetime, expected: float) -> None:
    rows = [Row("a", day(0), 1, 1.0, day(1)), Row("a", day(0), 2, 2.0, day(3)), Row("a", day(0), 3, 3.0, day(3))]
    snapshot = take(rows, [Label("a", late=True, known_at=day(1))], asked(day(9), as_known_at=as_known_at))
    assert (snapshot.rows["x"].to_list(), snapshot.batch.to_list()) == ([expected], [int(expected)])


def test_a_correction_may_make_a_row_immature() -> None:
    """The newest version says when it was; the one before it does not come back."""
    rows = [Row("a", day(0), 1), Row("a", day(9), 2, came=day(2))]
    known = [Label("a", late=True, known_at=day(1))]
    assert taken(take(rows, known, asked(day(5), as_known_at=day(1)))) == [("a", True)]
    assert taken(take(rows, known, asked(day(5)))) == []


@pytest.mark.parametrize(("as_of", "late"), [(day(3), True), (day(5), False), (day(4), False)])
def test_of_several_labels_the_newest_that_was_known_holds(as_of: datetime, *, late: bool) -> None:
    known = [
        Label("a", late=False, known_at=day(4), batch=2),
        Label("a", late=True, known_at=day(2), batch=3),
        Label("a", late=None, known_at=day(3), batch=4),
    ]
    snapshot = take([Row("a", day(0))], known, asked(as_of, labels=[2, 3, 4]))
    assert taken(snapshot) == [("a", late)]


def test_a_correction_with_the_same_moment_holds_by_its_later_batch() -> None:
    known = [Label("a", late=False, known_at=day(2), batch=2), Label("a", late=True, known_at=day(2), batch=1)]
    assert taken(take([Row("a", day(0))], known, asked(day(9)))) == [("a", False)]


def test_a_label_that_was_known_but_came_in_late_does_not_change_what_was_known_before() -> None:
    known = [Label("a", late=False, known_at=day(1)), Label("a", late=True, known_at=day(2), batch=2, came=day(6))]
    assert taken(take([Row("a", day(0))], known, asked(day(5)))) == [("a", False)]
    assert taken(take([Row("a", day(0))], known, asked(day(6)))) == [("a", True)]
    assert taken(take([Row("a", day(0))], known, asked(day(6), as_known_at=day(5)))) == [("a", False)]


def test_labels_of_a_file_that_was_not_accepted_do_not_count() -> None:
    assert taken(take([Row("a", day(0))], [Label("a", late=True, known_at=day(1))], asked(day(9), labels=[2]))) == []


def test_a_label_that_does_not_come_is_missing_only_after_the_grace() -> None:
    rows, known = [Row("a", day(0)), Row("b", day(0))], [Label("a", late=True, known_at=day(1))]
    assert (take(rows, known, asked(day(8))).missing, take(rows, known, asked(day(8.1))).missing) == (0, 1)


@pytest.mark.parametrize(("since", "expected"), [(day(0), 0.5), (day(1), 1 / 3), (day(2), 0.0)])
def test_coverage_is_that_of_the_rows_that_are_judged_so_that_old_labels_hide_no_gap(
    since: datetime, expected: float
) -> None:
    rows = [Row("a", day(0)), Row("b", day(1)), Row("c", day(2)), Row("d", day(3))]
    known = [Label("a", late=True, known_at=day(1)), Label("b", late=True, known_at=day(2))]
    assert take(rows, known, asked(day(9))).coverage(since=since) == expected


@pytest.mark.parametrize("known", [None, []])
def test_without_labels_there_is_nothing_to_learn_from(known: list[Label] | None) -> None:
    snapshot = take([Row("a", day(0))], known, asked(day(9)))
    assert (snapshot.rows.height, snapshot.coverage(since=day(0)), snapshot.missing, snapshot.until) == (
        (0, 0.0, 1, day(8))
    )


def test_without_mature_rows_the_coverage_is_not_a_number() -> None:
    assert math.isnan(take([], [], asked(day(9))).coverage(since=day(0)))


def test_the_id_follows_the_values_and_the_definition_and_nothing_else() -> None:
    rows, known = [Row("a", day(0))], [Label("a", late=True, known_at=day(1))]
    first = take(rows, known, asked(day(2)))
    later = take(rows, known, asked(day(3), as_known_at=day(9), rows=[1, 2, 3]))
    more = take([*rows, Row("b", day(0))], known, asked(day(2)))  # has no label
    assert first.id == later.id == more.id
    assert first.digest == later.digest
    others = [
        take(rows, [Label("a", late=False, known_at=day(1))], asked(day(2))),
        take([Row("a", day(0), x=0.1)], known, asked(day(2))),
        take([Row("a", day(0), x=None)], known, asked(day(2))),
        take([Row("a", day(0.1))], known, asked(day(2))),
        take(rows, known, replace(asked(day(2)), definition="another")),
    ]
    assert len({first.id, *(other.id for other in others)}) == 6
    assert others[-1].digest == first.digest


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(12)))
def test_the_order_in_which_a_table_gives_its_rows_changes_nothing(order: list[int]) -> None:
    rows = curated(*(Row(f"k{n}", day(n % 3), n % 2) for n in range(12))).collect()
    known = labels(
        *(Label(f"k{n % 9}", late=n % 4 == 0, known_at=day(1 + n / 3), batch=n) for n in range(12))
    ).collect()
    question = asked(day(4), rows=[0, 1], labels=range(12))
    expected = training_rows(rows.lazy(), known.lazy(), rules=RULES, question=question)
    shuffled = training_rows(rows[order].lazy(), known[order].lazy(), rules=RULES, question=question)
    assert shuffled.rows.equals(expected.rows)
    assert shuffled.id == expected.id


def test_the_key_may_be_the_event_time_itself() -> None:
    """As with hourly rows, of which there is one for each moment."""
    known = pl.LazyFrame({"at": [day(0)], "late": [True], "known_at": [day(1)], "_batch": [1], "_known_at": [day(1)]})
    rows = curated(Row("a", day(0)), Row("b", day(1)))
    snapshot = training_rows(rows, known, rules=replace(RULES, key=("at",)), question=asked(day(2)))
    assert taken(snapshot) == [("a", True)]


def test_what_is_looked_up_stands_before_the_target_and_in_the_digest() -> None:
    """It is asked for labelled rows alone, which still say when they came in."""

    def look_up(rows: pl.LazyFrame) -> pl.LazyFrame:
        seen.append(rows.select("key", "_known_at").collect().rows())
        return rows.with_columns(wind=pl.lit(3.5))

    seen: list[object] = []
    rows, known = [Row("a", day(0), came=day(0.5)), Row("b", day(0))], [Label("a", late=True, known_at=day(1))]
    tables = curated(*rows), labels(*known)
    told = training_rows(*tables, rules=RULES, question=asked(day(9)), look_up=look_up)
    assert seen == [[("a", day(0.5))]]
    assert told.rows.columns == ["key", "at", "x", "wind", "late"]
    assert told.id != take(rows, known, asked(day(9))).id


def test_all_labels_that_are_known_are_those_of_every_batch() -> None:
    known = labels(Label("a", late=True, known_at=day(1), batch=7, came=day(5)), Label("b", late=True, known_at=day(3)))
    assert known_labels(known, rules=RULES, as_of=day(2)).collect().rows() == [("a", True)]


# Whatever arrives, in whatever order

KEYS = st.sampled_from("abcd")
DAYS = st.integers(0, 12)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], list[Label], set[int], set[int]]:
    """Batches as they came in, by number or not: new rows, corrections and repetitions, labels in time, late, again,
    or never; and the numbers of those batches that were accepted. A batch holds a key once, and is known on one day.
    """
    came = draw(st.lists(DAYS, min_size=1, max_size=8))
    rows, known = list[Row](), list[Label]()
    for number, moment in enumerate(came, start=1):
        for key in draw(st.sets(KEYS, max_size=4)):
            at, x = draw(DAYS), draw(st.sampled_from([0.0, 1.0, math.nan, None]))
            rows.append(Row(key, day(at), number, x, day(moment)))
        for key in draw(st.sets(KEYS, max_size=4)):
            known_at, late = draw(DAYS), draw(st.sampled_from([True, False, None]))
            known.append(Label(key, late, day(known_at), number, day(moment)))
    accepted = [draw(st.sets(st.integers(1, len(came)))) for _ in range(2)]
    return rows, known, accepted[0], accepted[1]


def by_hand(rows: list[Row], known: list[Label], question: Question) -> list[tuple[str, datetime, float | None, bool]]:
    """The snapshot in plain Python, key by key."""
    found = list[tuple[str, datetime, float | None, bool]]()
    for key in sorted({row.key for row in rows}):
        versions = [r for r in rows if r.key == key and r.batch in question.batches["rows"]]
        newest = max((r for r in versions if r.came <= question.as_known_at), key=lambda r: r.batch, default=None)
        told = [
            label
            for label in known
            if label.key == key
            and label.late is not None
            and label.batch in question.batches["labels"]
            and label.known_at <= question.as_of
            and label.came <= question.as_known_at
        ]
        label = max(told, key=lambda item: (item.known_at, item.batch), default=None)
        if newest and label and label.late is not None and newest.at + RULES.matures_after <= question.as_of:
            found.append((key, newest.at, newest.x, label.late))
    return sorted(found, key=lambda item: (item[1], item[0]))


@settings(max_examples=300, deadline=None)
@given(history=histories(), as_of=DAYS, as_known_at=DAYS)
def test_the_same_question_asked_later_gives_the_same_snapshot_for_ever(
    history: tuple[list[Row], list[Label], set[int], set[int]], as_of: int, as_known_at: int
) -> None:
    rows, known, accepted, labelled = history
    moment = day(as_known_at)
    then_rows, then_known = [r for r in rows if r.came <= moment], [label for label in known if label.came <= moment]
    then = asked(
        day(as_of),
        as_known_at=moment,
        rows=sorted(accepted & {r.batch for r in then_rows}),
        labels=sorted(labelled & {label.batch for label in then_known}),
    )
    later = asked(day(as_of), as_known_at=moment, rows=sorted(accepted), labels=sorted(labelled))

    first, again = take(then_rows, then_known, then), take(rows, known, later)

    assert again.rows.equals(first.rows)
    assert (again.id, again.digest, again.missing, again.until) == (first.id, first.digest, first.missing, first.until)
    assert again.unlabelled.sort().equals(first.unlabelled.sort())
    assert again.batch.equals(first.batch)
    expected = pl.DataFrame(by_hand(rows, known, later), schema=first.rows.schema, orient="row")
    assert again.rows.equals(expected)
