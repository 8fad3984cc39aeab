"""Two contracts, or a contract and data: what was added, removed, retyped, widened or narrowed, and whom it breaks."""

from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from validation.difference import Change, compare_contracts, compare_data


def schema(**columns: Any) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns)


BASE = pa.Column(pl.Int64, pa.Check.in_range(0, 10))


def told(before: Any, after: Any) -> list[tuple[str, bool]]:
    return [(change.what, change.breaking) for change in compare_contracts(schema(a=before), schema(a=after))]


def test_the_same_contract_differs_in_nothing() -> None:
    assert compare_contracts(schema(a=BASE), schema(a=BASE)) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BASE, pa.Column(pl.Int64, pa.Check.in_range(0, 20)), [("widened", False)]),
        (BASE, pa.Column(pl.Int64, pa.Check.in_range(-5, 10)), [("widened", False)]),
        (BASE, pa.Column(pl.Int64, pa.Check.in_range(1, 10)), [("narrowed", True)]),
        (BASE, pa.Column(pl.Int64, pa.Check.in_range(1, 20)), [("changed", True)]),
        (BASE, pa.Column(pl.Int64, pa.Check.in_range(0, 10, include_max=False)), [("narrowed", True)]),
        (BASE, pa.Column(pl.Float64, pa.Check.in_range(0, 10)), [("retyped", True)]),
        (BASE, pa.Column(pl.Int64), [("widened", False)]),
        (pa.Column(pl.Int64), BASE, [("narrowed", True)]),
        (BASE, pa.Column(pl.Int64, pa.Check.in_range(0, 10), nullable=True), [("widened", False)]),
        (BASE, pa.Column(pl.Int64, pa.Check.in_range(0, 10), unique=True), [("narrowed", True)]),
        (pa.Column(str, pa.Check.isin(["a"])), pa.Column(str, pa.Check.isin(["a", "b"])), [("widened", False)]),
        (pa.Column(str, pa.Check.isin(["a", "b"])), pa.Column(str, pa.Check.isin(["a"])), [("narrowed", True)]),
        (pa.Column(str, pa.Check.isin(["a", "b"])), pa.Column(str, pa.Check.isin(["b", "c"])), [("changed", True)]),
        (pa.Column(str, pa.Check.notin(["a"])), pa.Column(str, pa.Check.notin(["a", "b"])), [("narrowed", True)]),
        (pa.Column(str, pa.Check.str_matches("a")), pa.Column(str, pa.Check.str_matches("b")), [("changed", True)]),
        (
            pa.Column(str, pa.Check.str_length(min_value=1)),
            pa.Column(str, pa.Check.str_length(1, 9)),
            [("narrowed", True)],
        ),
        (pa.Column(int, pa.Check.gt(0)), pa.Column(int, pa.Check.gt(-1)), [("widened", False)]),
    ],
)
def test_a_column_that_asks_otherwise(before: Any, after: Any, expected: list[tuple[str, bool]]) -> None:
    assert told(before, after) == expected


def test_columns_come_and_go() -> None:
    before, after = schema(a=BASE), schema(b=BASE, c=pa.Column(int, required=False))
    assert [(item.column, item.what, item.breaking) for item in compare_contracts(before, after)] == [
        ("a", "removed", True),
        ("b", "added", True),
        ("c", "added", False),
    ]


def test_rules_of_the_whole_frame() -> None:
    before = pa.DataFrameSchema({"a": BASE})
    after = pa.DataFrameSchema(
        {"a": BASE}, strict=True, unique=["a"], checks=[pa.Check(lambda data: data, name="whole")]
    )
    assert [str(item) for item in compare_contracts(before, after)] == [
        "the frame narrowed (breaking): strict: columns beside the contract's are refused now",
        "the frame narrowed (breaking): unique: nothing before, ['a'] now",
        "the frame narrowed (breaking): whole (as written) is asked now",
    ]


def test_data_that_fits_differs_in_nothing() -> None:
    assert compare_data(schema(a=BASE), {"a": pl.Int64()}) == ()


def test_data_that_lacks_a_column_has_another_type_or_brings_more() -> None:
    contract = schema(a=BASE, b=pa.Column(str), c=pa.Column(int, coerce=True))
    assert compare_data(contract, {"a": pl.String(), "c": pl.Int32(), "d": pl.Date()}) == (
        Change(column="a", what="retyped", breaking=True, detail="Int64 in the contract, String came"),
        Change(column="b", what="removed", breaking=True, detail="the contract has String, the data has none"),
        Change(column="c", what="retyped", breaking=False, detail="Int64 in the contract, Int32 came"),
        Change(column="d", what="added", breaking=False, detail="Date came, not in the contract"),
    )


def test_columns_that_a_pattern_names_are_no_strangers() -> None:
    contract = pa.DataFrameSchema({r"x_\d": pa.Column(int, regex=True)}, strict=True)
    (change,) = compare_data(contract, {"x_1": pl.Int64(), "y": pl.Int64()})
    assert (change.column, change.breaking) == ("y", True)
