"""How a file's columns become what its contract asks for: from footers alone, in Pandera's order."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from pandera.engines.polars_engine import Category

from tests.unit.contract_world import NOON, TIME, Result, judge

KEY = {"k": pa.Column(int), "at": pa.Column(TIME)}


def rows(**columns: list[Any] | pl.Series) -> pl.DataFrame:
    height = max(map(len, columns.values()))
    return pl.DataFrame(
        {"k": range(height), "at": [NOON] * height, **columns}, schema_overrides={"at": TIME}, strict=False
    )


def judged(frame: pl.DataFrame, columns: dict[str, Any], *, text: bool = False, **schema: Any) -> Result:
    return judge(frame, pa.DataFrameSchema(KEY | columns, **schema), key=("k",), text=text)


def text(**columns: list[str | None]) -> pl.DataFrame:
    """As a CSV file is read: everything is text."""
    return rows(**columns).with_columns(pl.col("k").cast(pl.String), at=pl.lit("2013-01-01T12:00:00Z"))


@pytest.mark.parametrize("of_frame", [True, False])
def test_coerced_columns_are_converted_and_cells_that_cannot_be_are_broken_rows(of_frame: bool) -> None:  # noqa: FBT001
    frame = rows(x=["1", "no", None, "3"])
    result = judged(frame, {"x": pa.Column(int, nullable=True, coerce=not of_frame)}, coerce=of_frame)
    assert result.good["x"].to_list() == [1, None, 3]
    assert result.bad.select("x", "_row", "_rules").rows() == [("no", 1, ["x.type"])]
    assert result.verdict.rules[0].sample == ("row 1, x=no",)


def test_a_cell_that_cannot_be_converted_is_not_also_null() -> None:
    result = judged(rows(x=["no", None]), {"x": pa.Column(int, coerce=True)})
    assert result.bad["_rules"].to_list() == [["x.type"], ["x.not_null"]]


def test_what_no_cell_could_become_is_a_wrong_type() -> None:
    assert judged(rows(x=[["a"]]), {"x": pa.Column(int, coerce=True)}).verdict.reasons == (
        "column 'x' has the wrong type: expected Int64, got List(String); convert it upstream",
    )
    assert judged(rows(x=["2013-01-01"]), {"x": pa.Column(pl.Date, coerce=True)}).verdict.outcome == "refuse"


def test_nan_that_is_converted_counts_as_null() -> None:
    result = judged(rows(x=[1.0, float("nan")]), {"x": pa.Column(int, coerce=True, nullable=True)})
    assert result.good["x"].to_list() == [1, None]


def test_money_is_converted_without_a_detour_through_floats() -> None:
    frame = rows(x=["12345678901234567.89", "x"])
    result = judged(frame, {"x": pa.Column(pl.Decimal(20, 2), coerce=True)})
    assert result.good["x"].to_list() == [Decimal("12345678901234567.89")]
    assert result.bad["_rules"].to_list() == [["x.type"]]


def test_pandera_own_categories_are_texts_of_a_list() -> None:
    level: Any = Category(["a", "b"])
    result = judged(rows(x=["a", "c", None]), {"x": pa.Column(level, coerce=True, nullable=True)})
    assert result.good["x"].to_list() == ["a", None]
    assert result.bad["_rules"].to_list() == [["x.type"]]


def test_defaults_take_the_place_of_null_and_nan_before_any_rule_is_asked() -> None:
    column = pa.Column(float, pa.Check.gt(0), default=2.0)
    result = judged(rows(x=[1.0, None, float("nan"), -1.0]), {"x": column})
    assert result.good["x"].to_list() == [1.0, 2.0, 2.0]
    assert result.bad["_rules"].to_list() == [["x.greater_than"]]


def test_missing_columns_are_added_when_the_contract_says_so_and_not_asked_as_in_pandera() -> None:
    columns = {"x": pa.Column(int, pa.Check.gt(0), default=-7), "y": pa.Column(str, nullable=True)}
    result = judged(rows(z=[1]), columns, add_missing_columns=True)
    assert result.verdict.outcome == "accept"
    assert result.good.select("x", "y").rows() == [(-7, None)]
    assert judged(rows(z=[1]), {"x": pa.Column(int)}, add_missing_columns=True).verdict.reasons == (
        "column 'x' is missing, has no default and may not be null; deliver it",
    )


def test_patterns_stand_for_the_columns_that_nothing_else_names() -> None:
    columns = {"x_1": pa.Column(int), "^x_.$": pa.Column(int, pa.Check.gt(0), regex=True)}
    frame = rows(x_3=[1, -1], x_1=[-1, -1], x_2=[1, 1])
    result = judged(frame, columns)
    assert result.good.columns == ["k", "at", "x_1", "x_3", "x_2"]
    assert result.bad["_rules"].to_list() == [["x_3.greater_than"]]
    assert judged(frame.select("k", "at", "x_1"), columns).verdict.reasons == (
        "no column matches '^x_.$': expected Int64, got none; deliver it",
    )


def test_a_strict_contract_may_drop_what_it_does_not_know_before_the_frame_is_asked() -> None:
    nothing_missing = pa.Check(lambda data: data.lazyframe.select(pl.all().is_not_null()), name="whole")
    frame = rows(x=[1, 2], note=[None, "n"])
    loose = judged(frame, {"x": pa.Column(int)}, checks=nothing_missing)
    assert loose.bad["_rules"].to_list() == [["whole"]]
    filtered = judged(frame, {"x": pa.Column(int)}, checks=nothing_missing, strict="filter")
    assert filtered.verdict.outcome == "accept"
    assert filtered.good.columns == ["k", "at", "x"]


def test_an_ordered_contract_names_the_first_column_that_is_out_of_place() -> None:
    columns = {"x": pa.Column(int), "y": pa.Column(int)}
    assert judged(rows(x=[1], other=[1], y=[1]), columns, ordered=True).verdict.outcome == "accept"
    assert judged(rows(y=[1], x=[1]), columns, ordered=True).verdict.reasons == (
        "column 'y' is out of order: expected 'x' in its place; order the columns",
    )


def test_a_type_of_the_frame_is_that_of_all_its_columns() -> None:
    schema = pa.DataFrameSchema({"k": pa.Column(), "x": pa.Column()}, dtype=pl.Int64)
    frame = rows(x=["1"]).drop("at").with_columns(at=pl.col("k"))
    assert judge(frame, schema, key=("k",)).verdict.reasons[0] == (
        "column 'x' has the wrong type: expected Int64, got String; convert it upstream"
    )


def test_columns_that_no_dead_letter_could_hold_are_told() -> None:
    assert judged(rows(_row=[1], x=[1]), {}).verdict.reasons == (
        "column '_row' has a name that Andon gives to bad rows; rename or drop it",
    )
    assert judge(pl.DataFrame(), pa.DataFrameSchema(KEY), key=("k",)).verdict.reasons[0] == "the batch has no columns"


def test_the_key_and_the_event_time_are_needed_whatever_the_contract_says() -> None:
    lax = pa.DataFrameSchema({"x": pa.Column(int)})
    assert judge(pl.DataFrame({"x": [1]}), lax, key=("k",)).verdict.reasons == (
        "column 'k' is missing: the key and the event time are needed; deliver it",
        "column 'at' is missing: the key and the event time are needed; deliver it",
    )
    assert judge(pl.DataFrame({"x": [1], "k": [1], "at": ["now"]}), lax, key=("k",)).verdict.reasons == (
        "column 'at' is the event time: expected a Datetime in UTC, got String; convert it upstream",
    )


TEXTS: list[tuple[Any, list[str | None], list[Any]]] = [
    (pl.Int64, ["1", "+5", "1.0", " 2", "x"], [1, 5]),
    (pl.UInt8, ["255", "256", "-1"], [255]),
    (pl.Float64, ["1.5", "1e3", "1,5"], [1.5, 1_000.0]),
    (pl.Boolean, ["true", "FALSE", "1", "yes"], [True, False]),
    (pl.Decimal(6, 2), ["1.50", "123456.7"], [Decimal("1.50")]),
    (pl.Date, ["2013-01-01", "01/02/2013", "2013-02-30"], [date(2013, 1, 1)]),
    (pl.Time, ["12:30", "12:30:01.5", "25:00"], [time(12, 30), time(12, 30, 1, 500_000)]),
    (pl.Enum(["a", "b"]), ["a", "c"], ["a"]),
    (pl.Categorical(), ["a"], ["a"]),
    (pl.String, ["a", "é"], ["a", "é"]),
    (
        TIME,
        ["2013-01-01T12:00:00Z", "2013-01-01 13:00:00.5+0100", "2013-01-01T12:00Z", "2013-01-01 12:00:00", "soon"],
        [NOON, NOON.replace(microsecond=500_000), NOON],
    ),
    (
        pl.Datetime("us"),
        ["2013-01-01T12:00:00", "2013-01-01 12:00", "2013-01-01T12:00:00Z"],
        [NOON.replace(tzinfo=None), NOON.replace(tzinfo=None)],
    ),
]


@pytest.mark.parametrize(("dtype", "cells", "expected"), TEXTS, ids=[str(dtype) for dtype, _, _ in TEXTS])
def test_text_is_read_as_the_contract_types(dtype: Any, cells: list[str | None], expected: list[Any]) -> None:
    """What is no such value is a broken row, as it came; no text is null."""
    result = judged(text(x=[*cells, None]), {"x": pa.Column(dtype, nullable=True)}, text=True)
    assert result.good["x"].to_list() == [*expected, None]
    assert result.good.schema["x"] == dtype
    assert set(result.bad["_rules"].explode().to_list()) <= {"x.type"}
    assert set(result.bad["x"].to_list()) == set(cells) - {cells[row] for row in result.good["k"].to_list()[:-1]}


def test_moments_in_text_take_the_zone_of_the_contract() -> None:
    berlin = pl.Datetime("ms", "Europe/Berlin")
    result = judged(text(x=["2013-07-01T10:00:00Z"]), {"x": pa.Column(berlin)}, text=True)
    assert result.good.schema["x"] == berlin
    assert result.good["x"].dt.convert_time_zone("UTC").to_list() == [datetime(2013, 7, 1, 10, tzinfo=UTC)]


def test_a_type_that_has_no_text_is_refused_in_text() -> None:
    for dtype in (pl.Duration("us"), pl.List(pl.Int64), pl.Binary()):
        result = judged(text(x=["1"]), {"x": pa.Column(dtype)}, text=True)
        assert result.verdict.reasons == (
            f"column 'x' has the wrong type: expected {dtype}, got String; convert it upstream",
        )


def test_rules_of_a_text_file_see_values_and_its_dead_letter_shows_texts() -> None:
    column = pa.Column(float, pa.Check.le(10), nullable=True)
    result = judged(text(x=["1.0", "99", "nan", "x"]), {"x": column}, text=True)
    assert result.good["x"].to_list() == [1.0, None]
    assert result.bad.select("k", "x", "_rules").rows() == [
        ("1", "99", ["x.less_than_or_equal_to"]),
        ("3", "x", ["x.type"]),
    ]
