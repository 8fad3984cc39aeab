"""Rules that are asked in other ways than row by row, and what is told of those that are broken."""

from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from operator import truediv
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from pandera.errors import SchemaErrors

from tests.unit.contract_world import NOON, TIME, Result, judge
from validation.contract import Quarantine, Terms, judge_batch
from validation.errors import ContractError
from validation.rules import in_reach

KEY = {"k": pa.Column(int), "at": pa.Column(TIME)}
X = pl.col("x")


def rows(**columns: list[Any] | pl.Series) -> pl.DataFrame:
    height = max(map(len, columns.values()))
    return pl.DataFrame(
        {"k": range(height), "at": [NOON] * height, **columns}, schema_overrides={"at": TIME}, strict=False
    )


def judged(frame: pl.DataFrame, columns: dict[str, Any], **schema: Any) -> Result:
    return judge(frame, pa.DataFrameSchema(KEY | columns, **schema), key=("k",))


def selects(expression: pl.Expr, **settings: Any) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(expression), **settings)


def said(result: Result) -> dict[str, tuple[int, int]]:
    """By rule: rows that are set aside for it, and failure cases that Pandera would report."""
    return {item.rule.name: (item.rows, item.failures) for item in result.outcomes if item.rows or item.failures}


def test_rules_that_look_at_other_rows_see_the_bad_ones_too() -> None:
    """Were they asked again of the bad rows alone, the mean would be another."""
    above = pa.Column(int, [pa.Check.lt(100), selects(X.mean() < X, name="above")])
    result = judged(rows(x=[1, 2, 9, 300]), {"x": above})
    assert result.bad["_rules"].to_list() == [["x.above"], ["x.above"], ["x.above"], ["x.less_than"]]


def test_a_rule_that_ignores_nulls_passes_where_its_answer_is_null_and_another_fails() -> None:
    checks = [pa.Check.gt(0, name="lenient"), pa.Check.gt(0, ignore_na=False, name="severe")]
    result = judged(rows(x=[1, None, -1]), {"x": pa.Column(int, checks, nullable=True)})
    assert result.bad["_rules"].to_list() == [["x.severe"], ["x.lenient", "x.severe"]]


def test_of_equal_values_the_first_is_kept_where_pandera_reports_all() -> None:
    frame = rows(x=[1, 1, 2, 1, 3, 2])
    columns = {"x": pa.Column(int, unique=True)}
    result = judged(frame, columns)
    assert result.bad["_row"].to_list() == [1, 3, 5]
    with pytest.raises(SchemaErrors) as error:
        pa.DataFrameSchema(KEY | columns).validate(frame, lazy=True)
    assert said(result) == {"x.unique": (3, error.value.failure_cases.height)}


def test_several_columns_can_be_unique_together_and_all_such_groups_are_told() -> None:
    frame = rows(x=[1, 1, 1, 2], y=["a", "a", "b", "b"])
    result = judged(frame, {"x": pa.Column(int), "y": pa.Column(str)}, unique=[["x", "y"], ["y"]])
    assert result.bad["_rules"].to_list() == [["x+y.unique", "y.unique"], ["y.unique"]]


def test_what_pandera_alone_can_ask_is_asked_with_its_own_code() -> None:
    checks = [
        pa.Check(lambda data: data.lazyframe.with_columns(z=X * 2).select(pl.col("z") < 6), name="doubled"),
        pa.Check(
            lambda data: data.lazyframe.select(X.map_batches(lambda x: x < 5, return_dtype=pl.Boolean)), name="code"
        ),
        pa.Check.unique_values_eq({1, 3, 9}),
    ]
    result = judged(rows(x=[1, 3, 9]), {"x": pa.Column(int, checks)})
    assert result.bad["_rules"].to_list() == [["x.doubled"], ["x.doubled", "x.code"]]
    assert [item.rule.kind for item in result.outcomes if item.rule.check] == ["alone", "alone", "alone"]


def test_python_that_claims_to_look_at_one_row_is_given_the_whole_column() -> None:
    """In parts of a file the mean would be another."""

    def at_most_mean(values: pl.Series) -> pl.Series:
        return values <= float(values.to_numpy().mean())

    lying = selects(X.map_batches(at_most_mean, return_dtype=pl.Boolean, is_elementwise=True), name="lying")
    frame = rows(x=[*[0] * 200_000, *[10] * 200_000])
    assert judged(frame, {"x": pa.Column(int, lying)}).verdict.rows_quarantined == 200_000


def test_each_answer_of_another_kind_is_a_fault_of_its_rule_and_of_no_other() -> None:
    checks = {
        "expression": lambda _: X > 1,
        "series": lambda _: pl.Series([True]),
        "frame": lambda _: pl.DataFrame({"x": [True]}),
        "none": lambda _: None,
        "two": lambda data: data.lazyframe.head(2).select(X > 0),
        "strict": lambda data: data.lazyframe.select(pl.col("t").str.to_integer() > 0),
        "cell": lambda data: data.lazyframe.select(X.map_elements(partial(truediv, 1), return_dtype=pl.Boolean)),
    }
    column = pa.Column(int, [pa.Check.lt(9), *(pa.Check(check, name=name) for name, check in checks.items())])
    result = judged(rows(x=[0, 1, 9], t=["a", "1", "2"]), {"x": column})
    faults = {item.rule.name.partition(".")[2]: item.fault for item in result.outcomes if item.fault}
    assert set(faults) == set(checks)
    assert faults["expression"] == (
        "x.expression could not be evaluated: TypeError: it answers with a Expr; "
        "return True, False or data.lazyframe.select(...) with a boolean for each row"
    )
    assert faults["two"] == "x.two answered for 2 rows, the batch has 3"
    assert "ZeroDivisionError" in faults["cell"]
    assert result.bad["_rules"].to_list() == [["x.less_than"]]
    assert result.verdict.outcome == "refuse"


def test_a_check_that_fails_on_nan_is_asked_with_null_in_its_place() -> None:
    whole = selects(X.cast(pl.Int64) > 0, name="whole")
    result = judged(rows(x=[1.0, float("nan"), -1.0]), {"x": pa.Column(float, whole, nullable=True)})
    assert result.bad["_rules"].to_list() == [["x.whole"]]
    assert result.good["x"].to_list() == [1.0, None]


def test_nan_is_judged_as_null_by_all_rules_and_kept_as_it_came() -> None:
    """Pandera lets NaN pass gt and fails it in le."""
    column = pa.Column(
        float, [pa.Check.gt(0), pa.Check.le(9), pa.Check.gt(0, ignore_na=False, name="severe")], nullable=True
    )
    result = judged(rows(x=[float("nan"), 1.0]), {"x": column})
    assert result.bad["_rules"].to_list() == [["x.severe"]]
    assert str(result.bad["x"].to_list()) == "[nan]"


ONE = "1 of 2 rows (50.00%) break"


@pytest.mark.parametrize(
    ("check", "warning"),
    [
        (selects(X < 2, name="near"), f"{ONE} x.near (near), only warned of; such as row 1, x=2"),
        (selects(X.max() > X, name="top"), f"{ONE} x.top (top), only warned of; such as row 1, x=2"),
        (selects(pl.len() > 2, name="rows"), "the batch as a whole breaks x.rows (rows)"),
        (pa.Check(lambda _: False, name="no"), "the batch as a whole breaks x.no (no)"),
        (pa.Check(lambda _: 1 / 0, name="boom"), "x.boom could not be evaluated: ZeroDivisionError: division by zero"),
        (
            pa.Check(lambda x: 1 / (x - 1) > 0, name="cell", element_wise=True),
            "x.cell could not be evaluated: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_rules_that_only_warn_never_reject(check: pa.Check, warning: str) -> None:
    check.raise_warning = True
    result = judged(rows(x=[1, 2]), {"x": pa.Column(int, check)})
    assert result.verdict.outcome == "accept"
    assert result.verdict.rules == ()
    assert [told.partition("\n")[0] for told in result.verdict.warnings] == [warning]


ODD_TYPES: dict[str, pl.Series] = {
    "binary": pl.Series([b"\xff", b"a", None]),
    "list": pl.Series([[1], [], None]),
    "array": pl.Series([[1, 2], [3, 4], None], dtype=pl.Array(pl.Int64, 2)),
    "struct": pl.Series([{"a": 1}, {"a": None}, None]),
    "enum": pl.Series(["a", "b", None], dtype=pl.Enum(["a", "b"])),
    "category": pl.Series(["a", "b", None], dtype=pl.Categorical()),
    "decimal": pl.Series([Decimal("1.10"), Decimal("2.20"), None]),
    "duration": pl.Series([timedelta(1), timedelta(2), None]),
    "date": pl.Series([date(2013, 1, 1), date(2014, 1, 1), None]),
    "nulls": pl.Series([None, None, None]),
    "far": pl.Series([9 * 10**17, 1, None]).cast(TIME),
    "far in a list": pl.Series([[9 * 10**17], [1], None]).cast(pl.List(TIME)),
    "text": pl.Series(["\x1b[31m\n", "x" * 1_000, None]),
}


@pytest.mark.parametrize("name", ODD_TYPES)
def test_columns_of_any_type_are_kept_and_shown(name: str) -> None:
    frame = rows(x=ODD_TYPES[name])
    broken = selects(pl.col("k") < 0, name="broken")
    column = pa.Column(frame.schema["x"], [broken], nullable=True)
    result = judged(frame, {"x": column})
    assert result.bad["x"].equals(frame["x"])
    (count,) = result.verdict.rules
    assert count.rows == 3
    assert all(line.isprintable() and len(line) < 80 for line in count.sample)


def test_a_schema_inside_a_struct_is_left_to_pandera() -> None:
    inner = pa.DataFrameSchema({"a": pa.Column(int, pa.Check.gt(0))})
    frame = rows(x=[{"a": 1}, {"a": -1}, None])
    nested: Any = inner
    result = judged(frame, {"x": pa.Column(nested, nullable=True)})
    assert result.bad["_rules"].to_list() == [["x.schema"]]
    assert result.good["x"].to_list() == [{"a": 1}, None]


def test_a_check_that_bears_the_name_of_one_of_our_rules_does_not_take_its_place() -> None:
    always = selects(pl.col("k").is_not_null(), name="unique")
    frame = rows(x=[1, 2]).with_columns(k=pl.lit(1, pl.Int64))
    contract = pa.DataFrameSchema({"k": pa.Column(int, always), "at": pa.Column(TIME), "x": pa.Column(int)})
    assert judge(frame, contract, key=("k",)).bad["_rules"].to_list() == [["k.unique#2"]]
    taken = selects(pl.col("k") > 0, name="in_reach")
    contract = pa.DataFrameSchema({"k": pa.Column(int), "at": pa.Column(TIME, taken)})
    future = rows(x=[1]).with_columns(at=pl.lit(NOON + timedelta(days=99), dtype=TIME))
    assert judge(future, contract, key=("k",)).bad["_rules"].to_list() == [["at.in_reach", "at.in_reach#2"]]


def test_the_rows_of_a_file_are_believed_and_not_its_statistics(tmp_path: Path) -> None:
    """The footer says that no value is below 777; the page says otherwise."""
    frame = rows(x=[777] * 1_000)
    path = tmp_path / "lying.parquet"
    frame.write_parquet(path, compression="uncompressed", use_pyarrow=True, pyarrow_options={"use_dictionary": False})
    data, value = bytearray(path.read_bytes()), (777).to_bytes(8, "little")
    at = data.find(value * 10)
    data[at : at + 8] = (-777).to_bytes(8, "little", signed=True)
    path.write_bytes(data)
    terms = Terms(
        contract=pa.DataFrameSchema(KEY | {"x": pa.Column(int, pa.Check.ge(0))}),
        policy=Quarantine(),
        key=("k",),
        time="at",
    )
    judged = judge_batch(pl.scan_parquet(path), terms, pipeline="p", batch="1", as_of=NOON, dead_letter=tmp_path / "d")
    assert [(count.name, count.rows) for count in judged.verdict.rules] == [("x.greater_than_or_equal_to", 1)]


def test_a_file_that_cannot_be_read_to_its_end_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "half.parquet"
    rows(x=[str(number) * 9 for number in range(100_000)]).write_parquet(path, row_group_size=10_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    path.write_bytes(data)
    terms = Terms(contract=pa.DataFrameSchema(KEY | {"x": pa.Column(str)}), policy=Quarantine(), key=("k",), time="at")
    with pytest.raises(ContractError, match=r"7 cannot be read: .*; upload it again"):
        judge_batch(pl.scan_parquet(path), terms, pipeline="p", batch="7", as_of=NOON, dead_letter=tmp_path / "d")


def test_the_reach_of_event_times_is_asked_of_rows() -> None:
    frame = pl.DataFrame({"at": [NOON, NOON + timedelta(days=2), None]}, schema={"at": TIME})
    rule = in_reach("at", as_of=NOON, ahead=timedelta(days=1))
    assert rule.broken is not None
    assert frame.select(rule.broken).to_series().to_list() == [False, True, False]
