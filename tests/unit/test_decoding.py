import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decoding import MAX_ROWS, FrameDecoder, RequestError
from validation.errors import DefinitionError

SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "dep time": pl.Float64(),
    "seats": pl.Int16(),
    "big": pl.UInt64(),
    "open": pl.Boolean(),
    "size": pl.Enum(["s", "m"]),
    "day": pl.Date(),
}
ROW: dict[str, Any] = {
    "id": "a", "at": "2013-01-01T06:15:00+01:00", "dep time": 1.5, "seats": 3, "big": 2**64 - 1,
    "open": True, "size": "m", "day": "2013-01-01",
}  # fmt: skip
DECODER = FrameDecoder(SCHEMA, required=("id", "at"))


def records(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"dataframe_records": rows}).encode()


def split(*rows: dict[str, Any]) -> bytes:
    columns = list(rows[0])
    return json.dumps(
        {"dataframe_split": {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}}
    ).encode()


def message(body: bytes, status: int = 422) -> str:
    with pytest.raises(RequestError) as caught:
        DECODER.decode(body)
    assert caught.value.status == status
    return str(caught.value)


@pytest.mark.parametrize("form", [records, split])
def test_rows_become_a_frame_of_the_contract_whatever_their_order_and_extra_columns(form: Any) -> None:
    shuffled = {"extra": [[{}]], **dict(reversed(ROW.items()))}
    nulls = dict.fromkeys(shuffled) | {"id": "b", "at": "2013-01-01 06:15:00"}
    expected = pl.DataFrame(
        {
            "id": ["a", "b"],
            "at": [datetime(2013, 1, 1, 5, 15, tzinfo=UTC), datetime(2013, 1, 1, 6, 15, tzinfo=UTC)],
            "dep time": [1.5, None],
            "seats": [3, None],
            "big": [2**64 - 1, None],
            "open": [True, None],
            "size": ["m", None],
            "day": [date(2013, 1, 1), None],
        },
        schema=SCHEMA,
    )
    assert DECODER.decode(form(shuffled, {name: nulls[name] for name in shuffled})).equals(expected)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dep time", True), ("dep time", "0.5"), ("dep time", 10**400), ("dep time", []),
        ("seats", 1.0), ("seats", 40_000), ("seats", -40_000), ("seats", "1"), ("seats", False),
        ("big", -1), ("big", 2**64), ("big", 10**40),
        ("id", 1), ("id", None), ("at", None), ("at", "yesterday"), ("at", 5), ("at", "2013-02-30T00:00:00Z"),
        ("at", "0001-01-01T00:00:00+05:00"), ("open", 1), ("open", "true"), ("size", "xl"), ("size", 1), ("day", 7),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [records, split])
def test_a_value_of_the_wrong_kind_is_refused_with_its_column_and_row(form: Any, column: str, value: Any) -> None:
    assert message(form(ROW, ROW | {column: value})).startswith(f"column '{column}', row 1: ")


def test_a_number_beyond_a_float_is_refused_with_its_column() -> None:
    body = records(ROW).replace(b"1.5", b"1e400")
    assert message(body) == "column 'dep time', row 0: Number out of range; send a finite number"


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"01", b"'a'", b"\xff"])
def test_literals_that_are_not_json_are_refused(literal: bytes) -> None:
    assert message(records(ROW).replace(b"1.5", literal), 400).startswith("the body is not JSON")


@pytest.mark.parametrize("body", [b"", b"{", b'{"dataframe_records": [', records(ROW)[:-5]])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    assert message(body, 400).startswith("the body is not JSON")


@pytest.mark.parametrize("prefix", [b"", b'{"dataframe_records": ', b'{"dataframe_records": [{"extra": '])
def test_json_without_a_bottom_is_refused(prefix: bytes) -> None:
    body = prefix + b"[" * 100_000
    assert message(body, 422 if not prefix else 400)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "got neither"),
        (b'{"inputs": [[1]]}', "unknown field `inputs`"),
        (b'{"dataframe_records": [], "dataframe_split": {"columns": [], "data": []}}', "got both"),
        (b'{"dataframe_records": []}', "got 0 rows"),
        (b'{"dataframe_records": {}}', "send a list of rows"),
        (b'{"dataframe_records": [[]]}', "row 0: Expected `object`"),
        (b'{"dataframe_split": {"data": []}}', "missing required field `columns`"),
        (b'{"dataframe_split": {"columns": ["id"], "data": []}}', "column 'at' is missing"),
        (b'{"dataframe_split": {"columns": ["id", "id"], "data": []}}', "column 'id' is given twice"),
        (json.dumps({"dataframe_split": {"columns": list(SCHEMA), "data": []}}).encode(), "got 0 rows"),
        (json.dumps({"dataframe_split": {"columns": list(SCHEMA), "data": [["a"]]}}).encode(), "row 0: Expected"),
        (json.dumps({"dataframe_split": {"columns": [f"c{n}" for n in range(1001)], "data": []}}).encode(), "got 1001"),
    ],
)
def test_a_request_of_the_wrong_shape_is_refused(body: bytes, expected: str) -> None:
    assert expected in message(body)


def test_a_missing_column_is_named() -> None:
    assert message(records(ROW, {name: ROW[name] for name in ROW if name != "seats"})).startswith(
        "column 'seats', row 1: it is missing"
    )


@pytest.mark.parametrize("again", [b'"seats": 3', b'"\\u0073eats": 3'])
def test_a_column_given_twice_in_a_record_is_refused_even_when_escaped(again: bytes) -> None:
    body = records(ROW).replace(b'"id"', again + b', "id"', 1)
    assert message(body) == "column 'seats' is given twice in a row; send each column once"


def test_a_value_that_looks_like_a_column_name_is_no_repetition() -> None:
    assert DECODER.decode(records(ROW | {"id": "seats"}, ROW | {"id": 'a"b'}))["id"].to_list() == ["seats", 'a"b']


@pytest.mark.parametrize("form", [records, split])
def test_as_many_rows_as_allowed_are_taken_and_one_more_is_refused(form: Any) -> None:
    assert DECODER.decode(form(*[ROW] * MAX_ROWS)).height == MAX_ROWS
    assert message(form(*[ROW] * (MAX_ROWS + 1))).startswith(f"got {MAX_ROWS + 1} rows")


def test_more_columns_than_a_thousand_are_taken_only_where_the_contract_has_them() -> None:
    wide = {f"c{number}": pl.Int64() for number in range(1_001)}
    body = json.dumps({"dataframe_split": {"columns": list(wide), "data": [[1] * 1_001]}}).encode()
    assert FrameDecoder(wide, required=()).decode(body).shape == (1, 1_001)
    with pytest.raises(RequestError, match="got 1001 columns; send only c0"):
        FrameDecoder({"c0": pl.Int64()}, required=()).decode(body)


def test_a_contract_that_json_cannot_carry_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"column 'a' is List.*flatten it"):
        FrameDecoder({"a": pl.List(pl.Int64)}, required=())


MOMENTS = st.timedeltas(timedelta(0), timedelta(days=300 * 365)).map(
    lambda after: datetime(1900, 1, 1, tzinfo=UTC) + after
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.text(st.characters(exclude_categories=["Cs"])),
                "at": MOMENTS,
                "dep time": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "seats": st.none() | st.integers(-(2**15), 2**15 - 1),
                "big": st.none() | st.integers(0, 2**64 - 1),
                "open": st.none() | st.booleans(),
                "size": st.none() | st.sampled_from(["s", "m"]),
                "day": st.none() | st.dates(),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_both_forms_give_back_the_rows_that_were_sent(rows: list[dict[str, Any]]) -> None:
    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value

    sent = [{name: plain(value) for name, value in row.items()} for row in rows]
    expected = pl.DataFrame(rows, schema=SCHEMA)
    assert DECODER.decode(records(*sent)).equals(expected)
    assert DECODER.decode(split(*sent)).equals(expected)
