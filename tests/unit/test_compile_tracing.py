from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from validation.tracing import Probes, trace

SCHEMA = pl.Schema({"a": pl.Int64(), "b": pl.Int64(), "s": pl.String(), "l": pl.List(pl.Int64), "d": pl.Datetime("us")})
a, b, s = pl.col("a"), pl.col("b"), pl.col("s")


def is_positive(value: int) -> bool:
    return value > 0


def above_mean(values: pl.Series) -> pl.Series:
    return values > values.mean()


ROW_BY_ROW = {
    "comparison": a > 1,
    "two columns": a > b,
    "membership": a.is_in([1, 2]),
    "membership in a series": a.is_in(pl.Series([1, 2]).implode()),
    "regex": s.str.contains("^a"),
    "when": pl.when(a > 1).then(b > 1).otherwise(statement=None),
    "horizontal": pl.all_horizontal(a > 1, b > 1),
    "text of two": pl.concat_str("a", "b") == "x",
    "moment": pl.col("d").dt.hour() > 1,
    "inside a list": pl.col("l").list.mean() > 1,
    "a fixed moment": pl.col("d") < datetime(2020, 1, 1),  # noqa: DTZ001  # the column has no zone
    "a text that names an operation": s.is_in(["FILTER", "WITH_COLUMNS", "python_udf"]),
}
LOOKS_AROUND = {
    "mean": a > a.mean(),
    "mean inside": pl.when(a > a.mean()).then(statement=True).otherwise(statement=False),
    "over": a.sum().over("b") > 1,
    "over without a sum": (a + 1).over("b") > 1,
    "group size": pl.len().over("a") < 3,
    "rank": a.rank() < 3,
    "shift": a.shift(1) <= a,
    "difference": a.diff() > 0,
    "running sum": a.cum_sum() < 4,
    "sort": a.sort() > 1,
    "reverse": a.reverse() > 1,
    "duplicates": a.is_duplicated(),
    "first of its kind": a.is_first_distinct() & (b > 1),
    "unique rows": pl.struct("a", "b").is_unique(),
    "peaks": a.peak_max(),
    "rolling": a.rolling_mean(2) > 1,
    "filled from before": a.fill_null(strategy="forward") > 1,
    "another column's values": a.is_in(b.implode()),
    "a series": pl.Series([1]) < a,
    "all columns": pl.all().is_not_null(),
    "all of a type": pl.col(pl.Int64) > 0,
    "a selector": pl.selectors.numeric() > 0,
    "by position": pl.nth(0) > 0,
    "the last": pl.nth(-1).is_not_null(),
}
OF_THE_FRAME = {
    "rows": pl.len() > 3,
    "nulls": a.null_count() == 0,
    "any": (a > 1).any(),
    "mean": a.mean() > 1,
    "a literal": pl.lit(value=True),
}
LEFT_TO_PANDERA = {
    "no boolean": a + 1,
    "python": a.map_elements(partial(is_positive), return_dtype=pl.Boolean),
    "python that lies about what it sees": a.map_batches(above_mean, return_dtype=pl.Boolean, is_elementwise=True),
    "fewer rows": a.head(2) > 1,
    "rows by number": pl.int_range(pl.len()) > 1,
    "filtered": a.filter(b > 1) > 1,
    "no such column": pl.col("nowhere") > 1,
    "a wrong type": a.str.contains("a"),
}
KINDS = {"row": ROW_BY_ROW, "mask": LOOKS_AROUND, "whole": OF_THE_FRAME, "alone": LEFT_TO_PANDERA}
CASES = [(kind, name, expression) for kind, named in KINDS.items() for name, expression in named.items()]


@pytest.mark.parametrize(("kind", "name", "expression"), CASES, ids=[f"{kind}: {name}" for kind, name, _ in CASES])
def test_what_an_expression_looks_at_is_told_by_the_expression(kind: str, name: str, expression: pl.Expr) -> None:
    """What is not proven to look at one row by itself is never asked row by row."""
    check = pa.Check(lambda data: data.lazyframe.select(expression), name=name)
    assert trace(check, "a", Probes.of(SCHEMA)).kind == kind


def caught(data: Any) -> bool:
    try:
        return bool(data.lazyframe.collect().height > 3)
    except Exception:  # noqa: BLE001  # as a careless check does
        return True


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (lambda data: data.lazyframe.collect().height > 3, "it uses collect of the frame"),
        (caught, "it uses collect of the frame"),
        (lambda data: data.lazyframe.with_columns(z=1).select(pl.col("z") > 0), "it uses with_columns of the frame"),
        (lambda data: data.lazyframe.select(a > 0).select("a"), "it uses a second select of the frame"),
        (lambda data: pl.concat([data.lazyframe, data.lazyframe]), "it uses _ldf of the frame"),
        (lambda data: data.lazyframe, "it answers with the frame itself"),
        (lambda data: data.lazyframe.select(pl.col("^x.*$") > 0), "it selects nothing"),
        (lambda data: data.lazyframe.select(a > 0, a > 1), "it raises DuplicateError"),
        (lambda _: pl.Series([True]), "it answers with a Series"),
        (lambda _: a > 1, "it answers with a Expr"),
        (lambda _: 1 / 0, "it raises ZeroDivisionError"),
    ],
)
def test_a_check_that_does_more_than_select_is_left_to_pandera(check: Callable[[Any], Any], why: str) -> None:
    traced = trace(pa.Check(check), "a", Probes.of(SCHEMA))
    assert (traced.kind, traced.why) == ("alone", why)


@pytest.mark.parametrize(
    "check",
    [
        lambda _: True,
        lambda data: "a" in data.lazyframe.columns,
        lambda data: data.lazyframe.collect_schema()["a"] == pl.Int64,
        lambda data: data.lazyframe.width == 5,
        lambda data: isinstance(data.lazyframe, pl.LazyFrame),
    ],
)
def test_a_check_of_names_and_types_alone_is_about_the_frame(check: Callable[[Any], bool]) -> None:
    traced = trace(pa.Check(check), "*", Probes.of(SCHEMA))
    assert (traced.kind, traced.answer) == ("whole", True)


def test_several_answers_become_one_that_is_true_where_all_are() -> None:
    frame = pl.DataFrame({"a": [1, 1, None, None], "b": [1, 0, 1, 0]})
    two = pa.Check(lambda data: data.lazyframe.select(x=a > 0, y=b > 0))
    answer = trace(two, "*", Probes.of(frame.schema)).answer
    assert isinstance(answer, pl.Expr)
    assert frame.select(answer).to_series().to_list() == [True, False, None, False]


def test_pandera_own_checks_of_a_whole_frame_ask_each_column() -> None:
    frame = pl.DataFrame({"a": [1, 1, 0], "b": [1, 0, 1]})
    traced = trace(pa.Check.gt(0), "*", Probes.of(frame.schema))
    assert (traced.kind, traced.columns) == ("row", ("a", "b"))
    assert isinstance(traced.answer, pl.Expr)
    assert frame.select(traced.answer).to_series().to_list() == [True, False, False]


def test_checks_of_single_cells_are_asked_in_the_same_pass() -> None:
    traced = trace(pa.Check(lambda value: value > 1, element_wise=True), "a", Probes.of(SCHEMA))
    assert traced.kind == "row"
