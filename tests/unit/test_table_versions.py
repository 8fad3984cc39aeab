"""Versions: which rows came before, with which content, and which of several holds, against a model in plain Python."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.address import Address
from storage.remote import Remote
from storage.tables import among, append, newest, repeats, scan
from storage.versions import ROWS_IN_A_PASS

LOCAL = Remote()
SCHEMA = {
    "key": pl.String(),
    "n": pl.Int64(),
    "share": pl.Float64(),
    "parts": pl.List(pl.Int64()),
    "_batch": pl.Int64(),
    "_known_at": pl.Datetime("us", "UTC"),
}
START = datetime(2013, 4, 8, tzinfo=UTC)

Row = tuple[str | None, int | None, float | None, list[int] | None]


def frame(batch: int, *rows: Row) -> pl.DataFrame:
    known_at = START + timedelta(days=batch)
    return pl.DataFrame([(*row, batch, known_at) for row in rows], schema=SCHEMA, orient="row")


def table_of(folder: Path, *batches: pl.DataFrame) -> Address:
    place = Address.of(folder / "table")
    for number, rows in enumerate(batches):
        append(place, rows.lazy(), markers=[f"flights/{number}"], remote=LOCAL, work=folder)
    return place


def repeated(
    place: Address,
    *incoming: pl.DataFrame,
    key: Sequence[str] = ("key",),
    but: Sequence[int] | None = None,
    rows_in_a_pass: int = ROWS_IN_A_PASS,
) -> list[tuple[object, ...]]:
    rows = pl.concat(incoming).lazy()
    numbers = but if but is not None else [batch["_batch"][0] for batch in incoming if batch.height]
    found = repeats(place, rows, key=key, batch_numbers=numbers, remote=LOCAL, rows_in_a_pass=rows_in_a_pass)
    assert dict(found.schema) == {**{name: SCHEMA[name] for name in key}, "_batch": pl.Int64(), "same": pl.Boolean()}
    return sorted(found.rows(), key=str)


def test_nothing_repeats_where_nothing_was(tmp_path: Path) -> None:
    assert repeated(table_of(tmp_path), frame(1, ("a", 1, 0.5, [1]))) == []


def test_a_key_that_came_before_is_told_with_whether_its_content_did(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(1, ("a", 1, 0.5, [1]), ("b", 1, None, None), ("c", 1, 0.5, [1, 2])))
    incoming = frame(2, ("c", 1, 0.5, [2, 1]), ("b", 1, None, None), ("a", 2, 0.5, [1]), ("new", 1, 0.5, [1]))
    assert repeated(place, incoming) == [("a", 2, False), ("b", 2, True), ("c", 2, False)]


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ((None, 1, 0.5, [1]), (None, 1, 0.5, [1]), True),
        (("a", 0, 0.5, [1]), ("a", None, 0.5, [1]), False),
        (("a", None, 0.5, None), ("a", None, 0.5, []), False),
        (("a", 1, 0.0, [1]), ("a", 1, -0.0, [1]), True),
        (("a", 1, 0.0, [1]), ("a", 1, None, [1]), False),
        (("", 1, 0.5, [1]), (None, 1, 0.5, [1]), None),
    ],
)
def test_nulls_are_values_of_their_own(tmp_path: Path, before: Row, now: Row, *, same: bool | None) -> None:
    found = repeated(table_of(tmp_path, frame(1, before)), frame(2, now))
    assert found == ([] if same is None else [(now[0], 2, same)])


def test_a_repetition_of_a_batch_that_was_written_is_judged_as_the_first_attempt_was(tmp_path: Path) -> None:
    first, second = frame(1, ("a", 1, 0.5, [1])), frame(2, ("a", 2, 0.5, [1]), ("b", 1, 0.5, [1]))
    place = table_of(tmp_path, first)
    before = repeated(place, second)
    table_of(tmp_path, first, second)
    assert repeated(place, second) == before == [("a", 2, False)]


def test_batches_that_do_not_count_are_left_out_by_their_numbers(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(1, ("a", 1, 0.5, [1])), frame(2, ("a", 2, 0.5, [1])))
    assert repeated(place, frame(3, ("a", 1, 0.5, [1])), but=[2, 3]) == [("a", 3, True)]
    assert repeated(place, frame(3, ("a", 1, 0.5, [1])), but=[1, 2, 3]) == []


def test_content_is_compared_with_the_newest_version(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(2, ("a", 2, 0.5, [1])), frame(1, ("a", 1, 0.5, [1])))
    assert repeated(place, frame(3, ("a", 2, 0.5, [1]))) == [("a", 3, True)]
    assert repeated(place, frame(3, ("a", 1, 0.5, [1]))) == [("a", 3, False)]


def test_a_batch_that_comes_late_repeats_what_came_with_a_higher_number(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(6, ("a", 1, 0.5, [1])))
    assert repeated(place, frame(5, ("a", 1, 0.5, [1]))) == [("a", 5, True)]


def test_of_batches_that_are_taken_in_together_the_lower_number_is_the_earlier_one(tmp_path: Path) -> None:
    """Whatever their order in the frame: each is compared with the one right before."""
    place = table_of(tmp_path, frame(1, ("b", 1, 0.5, [1])))
    third = frame(3, ("a", 1, 0.5, [1]), ("b", 2, 0.5, [1]), ("c", 1, 0.5, [1]))
    second = frame(2, ("a", 1, 0.5, [1]), ("b", 1, 0.5, [1]))
    fourth = frame(4, ("a", 1, 0.5, [1]), ("b", 1, 0.5, [1]))
    found = repeated(place, fourth, third, second)
    assert found == [("a", 3, True), ("a", 4, True), ("b", 2, True), ("b", 3, False), ("b", 4, False)]


def test_a_key_of_several_columns_is_one_only_when_all_of_them_are(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(1, ("a", 1, 0.5, [1]), ("b", None, 0.5, [1])))
    incoming = frame(2, ("a", 2, 0.5, [1]), ("b", 1, 0.5, [1]), ("b", None, 0.7, [1]), ("a", 1, 0.5, [1]))
    assert repeated(place, incoming, key=("n", "key")) == [(1, "a", 2, True), (None, "b", 2, False)]


def test_no_row_repeats_nothing(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(1, ("a", 1, 0.5, [1])))
    assert repeated(place, frame(2)) == []


def test_rows_of_other_columns_repeat_nothing_as_the_table_will_not_take_them(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(1, ("a", 1, 0.5, [1])))
    rows = frame(2, ("a", 1, 0.5, [1])).with_columns(n=pl.lit("1"))
    assert repeats(place, rows.lazy(), key=["key"], batch_numbers=[2], remote=LOCAL).is_empty()


def test_files_whose_keys_lie_elsewhere_are_not_read(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(1, ("a", 1, 0.5, [1]), ("b", 1, 0.5, [1])))
    (unneeded,) = place.path.glob("*.parquet")
    unneeded.write_bytes(b"not to be read" * 1000)
    assert repeated(place, frame(2, ("c", 1, 0.5, [1]))) == []


def test_rows_are_taken_apart_by_what_was_found_of_them(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(1, ("a", 1, 0.5, [1]), (None, 1, 0.5, [1])))
    incoming = pl.concat([frame(2, ("a", 2, 0.5, [1]), ("b", 1, 0.5, [1])), frame(3, (None, 1, 0.5, [1]))])
    found = repeats(place, incoming.lazy(), key=["key"], batch_numbers=[2, 3], remote=LOCAL)
    repeated = incoming.lazy().filter(among(found, key=["key"])).collect()
    fresh = incoming.lazy().filter(~among(found, key=["key"])).collect()
    assert (repeated["key"].to_list(), fresh["key"].to_list()) == (["a", None], ["b"])
    assert incoming.filter(among(found.clear(), key=["key"])).is_empty()


VALUES = st.tuples(
    st.sampled_from(["a", "b", "c", "d", None]),
    st.sampled_from([1, 2, None]),
    st.sampled_from([0.5, None]),
    st.sampled_from([[1], [], None]),
)
BATCH = st.lists(VALUES, max_size=4, unique_by=lambda row: row[0])


@settings(deadline=None, max_examples=60)
@given(
    stored=st.lists(BATCH, max_size=3),
    incoming=st.lists(BATCH, min_size=1, max_size=3),
    rows_in_a_pass=st.sampled_from([1, 2, 100]),
)
def test_any_history_is_told_as_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, stored: list[list[Row]], incoming: list[list[Row]], rows_in_a_pass: int
) -> None:
    """Also in many passes, as they are made for more rows than fit."""
    folder = tmp_path_factory.mktemp("history")
    place = table_of(folder, *(frame(number, *rows) for number, rows in enumerate(stored)))
    known: dict[object, Row] = {row[0]: row for rows in stored for row in rows}
    expected = []
    for number, rows in enumerate(incoming, start=10):
        expected += [(row[0], number, known[row[0]] == row) for row in rows if row[0] in known]
        known.update({row[0]: row for row in rows})
    frames = (frame(number, *rows) for number, rows in enumerate(incoming, start=10))
    assert repeated(place, *frames, rows_in_a_pass=rows_in_a_pass) == sorted(expected, key=str)


def held(place: Address, *, accepted: Sequence[int], on_day: float) -> list[tuple[object, ...]]:
    table = scan(place, LOCAL)
    assert table is not None
    moment = START + timedelta(days=on_day)
    rows = newest(table, key=["key"], accepted=accepted, as_known_at=moment, rows_in_a_pass=2)
    assert rows.collect_schema() == SCHEMA
    return sorted(rows.select("key", "n", "_batch").collect().rows(), key=str)


@pytest.mark.parametrize(
    ("accepted", "on_day", "rows"),
    [
        ([1, 2, 3], 3, [("a", 3, 3), ("b", 2, 2), (None, 2, 2)]),
        ([1, 2, 3], 2.999, [("a", 2, 2), ("b", 2, 2), (None, 2, 2)]),
        ([1, 3], 9, [("a", 3, 3), ("b", 1, 1), (None, 1, 1)]),
        ([1], 9, [("a", 1, 1), ("b", 1, 1), (None, 1, 1)]),
        ([3], 2, []),
        ([], 9, []),
    ],
)
def test_of_several_versions_the_newest_accepted_and_known_one_holds(
    tmp_path: Path, accepted: list[int], on_day: float, rows: list[tuple[object, ...]]
) -> None:
    place = table_of(
        tmp_path,
        frame(2, ("a", 2, 0.5, [1]), ("b", 2, 0.5, [1]), (None, 2, 0.5, [1])),
        frame(1, ("a", 1, 0.5, [1]), ("b", 1, 0.5, [1]), (None, 1, 0.5, [1])),
        frame(3, ("a", 3, 0.5, [1])),
    )
    assert held(place, accepted=accepted, on_day=on_day) == rows


def test_rows_without_versions_are_left_as_they_are(tmp_path: Path) -> None:
    place = table_of(tmp_path, frame(1, ("a", 1, 0.5, [1])), frame(2, ("b", 2, 0.5, [1])))
    assert held(place, accepted=[1, 2], on_day=2) == [("a", 1, 1), ("b", 2, 2)]


@settings(deadline=None, max_examples=60)
@given(
    batches=st.lists(BATCH, min_size=1, max_size=5),
    accepted=st.sets(st.integers(min_value=0, max_value=4)),
    on_day=st.integers(min_value=0, max_value=4),
    rows_in_a_pass=st.sampled_from([1, 3, 100]),
)
def test_what_any_history_comes_to_is_what_a_dictionary_would_keep(
    batches: list[list[Row]], accepted: set[int], on_day: int, rows_in_a_pass: int
) -> None:
    table = pl.concat([frame(number, *rows) for number, rows in reversed(list(enumerate(batches)))])
    moment = START + timedelta(days=on_day)
    rows = newest(table.lazy(), key=["key"], accepted=accepted, as_known_at=moment, rows_in_a_pass=rows_in_a_pass)
    counting = [(number, part) for number, part in enumerate(batches) if number in accepted and number <= on_day]
    kept = {row[0]: (row[0], row[1], number) for number, part in counting for row in part}
    assert sorted(rows.select("key", "n", "_batch").collect().rows(), key=str) == sorted(kept.values(), key=str)
