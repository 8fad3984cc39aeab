import json
import time
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.inputs import frame_of
from serving.requests.decoding import MAX_ROWS, RequestError, RowsDecoder
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
DECODER = RowsDecoder(SCHEMA, required=("id", "at"))


def records(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"dataframe_records": rows}).encode()


def split(*rows: dict[str, Any]) -> bytes:
    columns = list(rows[0])
    return json.dumps(
        {"dataframe_split": {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}}
    ).encode()


def inputs(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"inputs": rows}).encode()


def instances(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"instances": {name: [row[name] for row in rows] for name in rows[0]}}).encode()


FORMS = [records, split, inputs, instances]


def decoded(body: bytes) -> pl.DataFrame:
    return frame_of(DECODER.decode(body).columns, SCHEMA)


def message(body: bytes, status: int = 422, *, decoder: RowsDecoder = DECODER) -> str:
    with pytest.raises(RequestError) as caught:
        decoder.decode(body)
    assert caught.value.status == status
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
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
    assert decoded(form(shuffled, {name: nulls[name] for name in shuffled})).equals(expected)


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
@pytest.mark.parametrize("form", FORMS)
def test_a_value_of_the_wrong_kind_is_refused_with_its_column_and_row(form: Any, column: str, value: Any) -> None:
    assert message(form(ROW, ROW | {column: value})).startswith(f"column '{column}', row 1: ")


def test_a_number_beyond_a_float_is_refused_with_its_column() -> None:
    body = records(ROW).replace(b"1.5", b"1e400")
    assert message(body) == "column 'dep time', row 0: Number out of range; send a finite number"


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("form", FORMS)
def test_what_pythons_json_writes_for_a_number_that_is_none_is_refused_with_its_column(form: Any, literal: str) -> None:
    body = form(ROW, ROW | {"dep time": float(literal)})
    assert message(body) == (
        f"column 'dep time', row 1: Expected `float | null`, got {literal}; send a finite number, or null"
    )


def test_of_several_numbers_that_are_none_the_first_is_named() -> None:
    again = ROW | {"dep time": float("inf"), "open": float("nan"), "id": 'NaN " Infinity'}
    assert message(records(ROW, again)) == (
        "column 'dep time', row 1: Expected `float | null`, got NaN or Infinity; send a finite number, or null"
    )
    assert message(records(ROW | {"x": float("nan")}), 400).startswith("the body is not JSON")


@pytest.mark.parametrize("body", [b'{"inputs": [NaN' + b'"' * 1_000_000, b'{"inputs": [NaN' + b'\\"' * 1_000_000])
def test_looking_for_them_takes_no_longer_the_more_quotes_there_are(body: bytes) -> None:
    began = time.process_time()
    message(body, 400)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("literal", [b"01", b"'a'", b"\xff", b"nan", b'"\\x"'])
def test_literals_that_are_not_json_are_refused(literal: bytes) -> None:
    assert message(records(ROW).replace(b"1.5", literal), 400).startswith("the body is not JSON")


@pytest.mark.parametrize("body", [b"", b"{", b'{"dataframe_records": [', records(ROW)[:-5]])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    assert message(body, 400).startswith("the body is not JSON")


@pytest.mark.parametrize(
    ("prefix", "status"),
    [
        (b"", 422),
        (b'{"dataframe_records": ', 422),
        (b'{"dataframe_records": [{"extra": ', 400),
        (b'{"dataframe_split": {"data": ', 400),
        (b'{"dataframe_split": {"index": ', 400),
        (b'{"params": ', 400),
    ],
)
def test_json_without_a_bottom_is_refused(prefix: bytes, status: int) -> None:
    assert message(prefix + b"[" * 100_000, status)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "send one of dataframe_split, dataframe_records, inputs, instances; got none of them"),
        (b'{"rows": [[1]]}', "unknown field `rows`"),
        (b'{"dataframe_records": [], "dataframe_split": {"columns": [], "data": []}}', "and dataframe_records"),
        (b'{"inputs": {}, "instances": []}', "column 'id' is missing"),
        (b'{"inputs": [], "instances": []}', "got inputs and instances"),
        (b'{"inputs": [[1]]}', "row 0: Expected `object`, got `array`; send an object with"),
        (b'{"instances": 5}', "instances: Expected `object | array`, got `int`; send a list of rows"),
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


SPLIT, NO_ROWS = b'"dataframe_split"', b'"dataframe_records"'
AGAIN = {
    "record": (records(ROW), b'"id"', b'"seats": 3, "id"', "column 'seats' is given twice in a row; send each"),
    "escaped": (inputs(ROW), b'"id"', b'"\\u0073eats": 3, "id"', "column 'seats' is given twice in a row; send each"),
    "unknown": (
        records(ROW | {"x": 1}),
        b'"x"',
        b'"seats": 3, "x"',
        "column 'seats' is given twice in a row; send each",
    ),
    "list": (instances(ROW), b'"id"', b'"seats": [3], "id"', "column 'seats' is given twice; send each column once"),
    "columns": (
        split(ROW),
        b'"columns"',
        b'"columns":0,"columns"',
        "'columns' is given twice in dataframe_split; send",
    ),
    "data": (split(ROW), b'"columns"', b'"data":0,"columns"', "'data' is given twice in dataframe_split; send it once"),
    "format": (records(ROW), NO_ROWS, NO_ROWS + b":[]," + NO_ROWS, "'dataframe_records' is given twice; send it once"),
    "split": (
        split(ROW),
        SPLIT,
        SPLIT + b':{"columns":0,"data":0},' + SPLIT,
        "'dataframe_split' is given twice; send it",
    ),
}


@pytest.mark.parametrize("case", AGAIN)
def test_a_name_given_twice_is_refused(case: str) -> None:
    body, place, repetition, expected = AGAIN[case]
    assert message(body.replace(place, repetition, 1)).startswith(expected)


def test_a_value_that_looks_like_a_column_name_is_no_repetition() -> None:
    assert decoded(records(ROW | {"id": "seats"}, ROW | {"id": 'a"b'}))["id"].to_list() == ["seats", 'a"b']


@pytest.mark.parametrize("form", FORMS)
def test_as_many_rows_as_allowed_are_taken_and_one_more_is_refused(form: Any) -> None:
    assert decoded(form(*[ROW] * MAX_ROWS)).height == MAX_ROWS
    assert message(form(*[ROW] * (MAX_ROWS + 1))).startswith(f"got {MAX_ROWS + 1} rows")


def crowds() -> dict[str, bytes]:
    """Some MB with far too many rows or columns each."""

    def many(text: bytes) -> bytes:
        return b",".join([text] * 500_000)

    return {
        "split": b'{"dataframe_split":{"columns":["id"],"data":[' + many(b"[1]") + b"]}}",
        "records": b'{"dataframe_records":[' + many(b'{"x":1}') + b"]}",
        "inputs": b'{"inputs":[' + many(b"{}") + b"]}",
        "lists": b'{"instances":{"x":"]","dep time":[' + many(b"1") + b"]}}",
        "lists of strings": b'{"instances":{"id":[' + many(b'","') + b"]}}",
        "columns": b'{"dataframe_split":{"columns":[' + many(b'","') + b'],"data":[]}}',
    }


@pytest.mark.parametrize("name", crowds())
def test_far_too_many_rows_are_refused_before_they_become_values(name: str) -> None:
    body = crowds()[name]
    tracemalloc.start()
    try:
        told = message(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    what = (
        "1000 columns; send only" if name == "columns" else "10,000 rows; send 1 to 10,000 rows in a request; for more"
    )
    assert told.startswith(f"got more than {what}")
    assert peak < 2 * len(body)


def test_as_many_brackets_and_commas_are_no_rows() -> None:
    crowd = '[{,\\"' * 20_000
    rows = [ROW | {"id": crowd, "x": [[1], {}] * 9_000}] * 2
    for form in FORMS:
        assert decoded(form(*rows))["id"].to_list() == [crowd] * 2


def test_more_columns_than_a_thousand_are_taken_only_where_the_contract_has_them() -> None:
    wide = {f"c{number}": pl.Int64() for number in range(1_001)}
    body = json.dumps({"dataframe_split": {"columns": list(wide), "data": [[1] * 1_001]}}).encode()
    assert RowsDecoder(wide, required=()).decode(body).columns == [[1]] * 1_001
    with pytest.raises(RequestError, match="got 1001 columns; send only c0"):
        RowsDecoder({"c0": pl.Int64()}, required=()).decode(body)


def test_pandas_index_empty_params_and_unknown_columns_are_ignored() -> None:
    body = json.loads(split(ROW | {"x": [{"y": "1e400"}]}))
    body["dataframe_split"]["index"] = ["anything"]
    empty: list[dict[str, Any] | None] = [{}, None]
    for params in empty:
        assert decoded(json.dumps(body | {"params": params}, indent=2).encode()).equals(decoded(records(ROW)))
    assert decoded(records(ROW | {"x": "number"}).replace(b'"number"', b"1e400")).height == 1
    assert message(json.dumps(body | {"params": {"a": 1}}).encode()) == "params: the model takes none; leave them out"
    assert "unknown field `tight`" in message(json.dumps({"dataframe_split": {"tight": 1}}).encode())
    assert message(records(ROW | {"x": "?"}).replace(b"?", b"\xff"), 400).startswith(
        "the body is not JSON: it is no UTF-8"
    )


def test_lists_of_different_lengths_are_refused() -> None:
    body = json.loads(instances(ROW, ROW))
    body["instances"]["day"].pop()
    assert message(json.dumps(body).encode()) == (
        "instances: column 'day' has 1 values, 'id' has 2; send a value (or null) for each row in each column"
    )
    body["instances"]["day"] = "2013-01-01"
    assert message(json.dumps(body).encode()) == (
        "column 'day': Expected `array`, got `str`; send a list with one value for each row"
    )


GROUPED = RowsDecoder(SCHEMA, required=("id", "at"), looked_up={"planes": ("seats", "size"), "sky": ("day",)})


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name not in names}


@pytest.mark.parametrize("form", FORMS)
def test_looked_up_columns_may_be_left_out_together(form: Any) -> None:
    assert GROUPED.decode(form(ROW, ROW)).absent == ()
    for names in (("day",), ("seats", "size"), ("seats", "size", "day")):
        rows = GROUPED.decode(form(without(*names), without(*names)))
        assert rows.absent == names
        expected = decoded(form(ROW, ROW)).with_columns(pl.lit(None, SCHEMA[name]).alias(name) for name in names)
        assert frame_of(rows.columns, SCHEMA).equals(expected)
        left_out = [rows.columns[list(SCHEMA).index(name)] for name in names]
        assert len({id(column) for column in left_out}) == len(names), "whoever fills one column must not fill another"
    told = message(form(without("size", "day")), decoder=GROUPED)
    assert "column 'size'" in told
    assert told.endswith("missing; send all of seats, size in each row, or none of them")
    assert "column 'at'" in message(form(without("at", "day")), decoder=GROUPED)


@pytest.mark.parametrize("form", [records, inputs])
def test_a_looked_up_column_that_only_some_rows_bring_is_refused(form: Any) -> None:
    told = message(form(ROW, without("day")), decoder=GROUPED)
    assert told == "column 'day', row 1: it is missing; send all of day in each row, or none of them"


def test_values_are_never_told_back() -> None:
    for name in without("id"):
        for form in FORMS:
            assert "confidential" not in message(form(ROW | {name: "confidential"}))
    assert "confidential" not in message(records(ROW).replace(b"1.5", b"confidential"), 400)


@pytest.mark.parametrize(
    ("dtype", "sent", "expected"),
    [
        (pl.Datetime("ns"), "2261-12-31T23:59:59.999999-23:59", datetime(2262, 1, 1, 23, 58, 59, 999999, UTC)),
        (pl.Datetime("ns"), "2262-01-01T00:00:00Z", None),
        (pl.Datetime("ns"), "1678-01-01T00:00:00+23:59", datetime(1677, 12, 31, 0, 1, tzinfo=UTC)),
        (pl.Datetime("ns"), "1677-12-31T23:59:59Z", None),
        (pl.Datetime("us"), "9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
        (pl.Datetime("us"), "0001-01-01T00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        (pl.Datetime("us"), "0001-12-31T00:00:00+01:00", None),
        (pl.Datetime("ms"), "1969-12-31T23:59:59.999999Z", datetime(1969, 12, 31, 23, 59, 59, 999000, UTC)),
        (pl.Datetime("us", "Europe/Berlin"), "2013-07-01T12:00:00", datetime(2013, 7, 1, 12, tzinfo=UTC)),
        (pl.Datetime("us"), "9999-12-31T23:59:59-00:01", None),
        (pl.Date(), "2013-01-31T00:00:00", date(2013, 1, 31)),
        (pl.Date(), "2013-01-31 00:00:00.000+00:00", date(2013, 1, 31)),
        (pl.Date(), "2013-01-31T00:00:01", None),
        (pl.Date(), "2013-01-31T00:00:00+01:00", None),
        (pl.Date(), "20130131", None),
        (pl.Date(), "2013-W05-4", None),
        (pl.Date(), "2013-02-29", None),
        (pl.Float32(), 0.1, 0.10000000149011612),
        (pl.Float32(), 3.5e38, None),
        (pl.UInt64(), 2**64 - 1, 2**64 - 1),
        (pl.Int64(), -(2**63), -(2**63)),
        (pl.Int64(), 2**63, None),
        (pl.Categorical(), "any", "any"),
        (pl.Enum([]), "any", None),
    ],
)
def test_a_value_is_held_as_its_column_holds_it_or_refused(dtype: pl.DataType, sent: Any, expected: Any) -> None:
    decoder, body = RowsDecoder({"a": dtype}, required=()), json.dumps({"inputs": {"a": [None, sent]}}).encode()
    if expected is None:
        assert message(body, decoder=decoder).startswith("column 'a', row 1: ")
        return
    rows = decoder.decode(body)
    assert rows.columns == [[None, expected]]
    held = frame_of(rows.columns, {"a": dtype})["a"]
    assert held.dtype == dtype
    if isinstance(dtype, pl.Datetime):
        held = held.dt.replace_time_zone("UTC") if dtype.time_zone is None else held.dt.convert_time_zone("UTC")
    assert held.to_list() == [None, expected]


def test_column_orders_are_kept_but_not_without_end() -> None:
    decoder = RowsDecoder({"a": pl.Int64()}, required=())
    for number in range(300):
        body = {"dataframe_split": {"columns": ["a", f"x{number}"], "data": [[number, None]]}}
        assert decoder.decode(json.dumps(body).encode()).columns == [[number]]
    assert decoder.kept_orders <= 64


def test_a_contract_that_json_cannot_carry_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"column 'a' is List.*flatten it"):
        RowsDecoder({"a": pl.List(pl.Int64)}, required=())


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
def test_all_forms_give_back_the_rows_that_were_sent(rows: list[dict[str, Any]]) -> None:
    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value

    sent = [{name: plain(value) for name, value in row.items()} for row in rows]
    expected = pl.DataFrame(rows, schema=SCHEMA)
    for form in FORMS:
        assert decoded(form(*sent)).equals(expected)
