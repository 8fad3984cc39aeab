"""What two snapshots have in common and what not, by key; equality is that of the digest."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.comparison import SHOWN, BatchChange, Correction, Difference, compare
from storage.digest import column_digests
from storage.snapshot import Question, Snapshot

ASKED = Question(as_of=datetime(2013, 2, 1, tzinfo=UTC), as_known_at=datetime(2013, 2, 1, tzinfo=UTC), batches={})


def day(number: int) -> datetime:
    return datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=number)


def snapshot(rows: dict[str, list[Any]], batch: list[int] | None = None, **types: Any) -> Snapshot:
    count = len(rows["key"])
    at = pl.Series("at", [day(n) for n in range(count)], dtype=pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(rows, schema_overrides=types).with_columns(at if "at" not in rows else [])
    return Snapshot(
        question=ASKED,
        rows=frame,
        batch=pl.Series("_batch", batch or [1] * count, dtype=pl.Int64),
        unlabelled=pl.Series("at", [], dtype=pl.Datetime("us", "UTC")),
        missing=0,
        until=day(30),
        columns=column_digests(frame),
    )


def difference(before: Snapshot, after: Snapshot) -> Difference:
    return compare(before, after, key=("key",), time="at", target="late")


def test_rows_come_and_go_are_corrected_and_relabelled() -> None:
    before = snapshot(
        {"key": ["a", "b", "c", "d"], "x": [1.0, 2.0, None, math.nan], "late": [True, True, True, True]}, [1, 1, 2, 2]
    )
    after = snapshot(
        {
            "key": ["a", "b", "c", "d", "e"],
            "x": [1.0, 2.5, 3.0, math.nan, 5.0],
            "late": [True, False, True, True, True],
        },
        [1, 3, 3, 2, 3],
    )
    assert difference(before, after) == Difference(
        rows_before=4,
        rows_after=5,
        span_before=(day(0), day(3)),
        span_after=(day(0), day(4)),
        added=1,
        removed=0,
        corrected=2,
        relabelled=1,
        columns={"x": 2},
        more_columns=0,
        columns_added=(),
        columns_removed=(),
        columns_retyped=(),
        batches=(
            BatchChange(batch=1, before=2, after=1),
            BatchChange(batch=2, before=2, after=1),
            BatchChange(batch=3, before=0, after=3),
        ),
        more_batches=0,
        examples=(
            Correction(key=("b",), column="x", before="2.0", after="2.5"),
            Correction(key=("b",), column="late", before="True", after="False"),
            Correction(key=("c",), column="x", before="null", after="3.0"),
        ),
    )
    back = difference(after, before)
    assert (back.added, back.removed, back.corrected, back.relabelled) == (0, 1, 2, 1)


def test_two_of_one_kind_differ_in_nothing() -> None:
    one = snapshot({"key": ["a", None], "x": [math.nan, -0.0], "list": [[1.0], None], "late": [True, None]})
    other = snapshot({"key": ["a", None], "x": [math.nan, 0.0], "list": [[1.0], None], "late": [True, None]})
    assert difference(one, other).is_empty
    assert one.digest == other.digest


def test_columns_that_only_one_has_or_that_changed_their_type_are_named_and_not_compared() -> None:
    before = snapshot({"key": ["a"], "gone": [1], "kind": [1], "late": [True]})
    after = snapshot({"key": ["a"], "kind": ["1"], "wind": [0.5], "late": [True]})
    found = difference(before, after)
    assert (found.columns_added, found.columns_removed, found.columns_retyped) == (("wind",), ("gone",), ("kind",))
    assert (found.corrected, found.columns, found.is_empty) == (0, {}, False)


def test_of_much_the_first_is_named_and_the_rest_counted() -> None:
    names = [f"x{n:02}" for n in range(SHOWN + 5)]
    rows = 60
    before = snapshot(
        {"key": list(range(rows)), **{name: [0] * rows for name in names}, "late": [True] * rows}, list(range(rows))
    )
    after = snapshot(
        {
            "key": list(range(rows)),
            **{name: [1] * rows for name in names},
            "late": [True] * rows,
        },
        [number + 100 for number in range(rows)],
    )
    found = difference(before, after)
    assert (found.corrected, found.columns, found.more_columns) == (rows, dict.fromkeys(names[:SHOWN], rows), 5)
    assert (len(found.batches), found.more_batches) == (SHOWN, 2 * rows - SHOWN)
    assert len(found.examples) == SHOWN


def test_long_values_are_cut() -> None:
    before, after = (snapshot({"key": ["a"], "x": [text * 200], "late": [True]}) for text in "ab")
    (example,) = difference(before, after).examples
    assert (example.before, example.after) == ("a" * 60 + "...", "b" * 60 + "...")


KEYS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.sampled_from([0.0, 1.0, math.nan, None]), st.booleans()))


@settings(max_examples=100, deadline=None)
@given(old=KEYS, new=KEYS)
def test_the_counts_are_those_of_plain_python(
    old: dict[str, tuple[float | None, bool]], new: dict[str, tuple[float | None, bool]]
) -> None:
    before, after = (
        snapshot(
            {
                "key": sorted(rows),
                "x": [rows[key][0] for key in sorted(rows)],
                "late": [rows[key][1] for key in sorted(rows)],
                "at": [day(0)] * len(rows),
            },
            key=pl.String,
            x=pl.Float64,
            late=pl.Boolean,
            at=pl.Datetime("us", "UTC"),
        )
        for rows in (old, new)
    )
    found, both = difference(before, after), old.keys() & new.keys()
    assert (found.added, found.removed) == (len(new.keys() - both), len(old.keys() - both))
    assert found.corrected == sum(repr(old[key][0]) != repr(new[key][0]) for key in both)
    assert found.relabelled == sum(old[key][1] != new[key][1] for key in both)
    assert found.is_empty == (before.digest == after.digest)
