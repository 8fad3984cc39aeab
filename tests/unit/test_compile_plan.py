"""Compiled once, proven to run, and compiled anew when a check asks something else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from tests.unit.contract_world import NOON, TIME, judge
from validation.canary import dead_rules
from validation.costs import Cost, costs
from validation.labels import label_contract
from validation.plan import Plan, compiled, plan_of
from validation.rules import Rule

KEY = {"k": pa.Column(int), "at": pa.Column(TIME)}
SCHEMA = pl.Schema({"k": pl.Int64(), "at": TIME, "x": pl.Int64()})
FRAME = pl.DataFrame({"k": [1, 2], "at": [NOON, NOON], "x": [1, -1]}, schema=SCHEMA)


class Counted:
    """A check that counts how often it is traced, and asks for a bound that can be moved."""

    def __init__(self) -> None:
        self.calls, self.bound = 0, 0

    def __call__(self, data: Any) -> pl.LazyFrame:
        self.calls += 1
        answer: pl.LazyFrame = data.lazyframe.select(pl.col("x") > self.bound)
        return answer


def contract(*checks: pa.Check, **columns: pa.Column) -> Any:
    return pa.DataFrameSchema(KEY | {"x": pa.Column(int, pa.Check.gt(0))} | columns, checks=list(checks))


def plan(schema: Any, got: pl.Schema = SCHEMA) -> Plan:
    return plan_of(schema, got, key=("k",), time="at")


def test_files_of_one_shape_share_a_plan() -> None:
    schema = contract()
    first = plan(schema)
    assert plan(schema) is first
    assert plan(schema, pl.Schema({**SCHEMA, "more": pl.String()})) is not first
    assert plan(contract()) is not first
    assert plan_of(schema, SCHEMA, key=("x",), time="at") is not first


def test_a_check_that_looks_at_the_clock_is_asked_anew_and_no_other_is_compiled_again() -> None:
    clock = Counted()
    schema = contract(pa.Check(clock, name="fresh"))
    first = plan(schema)
    traced = clock.calls
    assert plan(schema) is first
    assert clock.calls == traced + 1
    assert judge(FRAME, schema, key=("k",)).bad["_rules"].to_list() == [["x.greater_than", "fresh"]]
    clock.bound = 1
    assert judge(FRAME, schema, key=("k",)).bad["_rules"].to_list() == [["fresh"], ["x.greater_than", "fresh"]]
    assert plan(schema) is not first


def test_the_contract_of_labels_is_one_and_the_same() -> None:
    key = {"k": pl.Int64()}
    first, second = (label_contract(key=key, target="y", task="binary", known_at="at") for _ in range(2))
    assert first is second


def test_labels_in_text_are_numbers_and_true_and_false_are_one_and_zero() -> None:
    schema = label_contract(key={"k": pl.Int64()}, target="y", task="binary", known_at="at")
    texts = pl.DataFrame({"k": ["1", "2", "3", "4"], "y": ["1", "0.0", "TRUE", "perhaps"]})
    result = judge(texts.with_columns(at=pl.lit("2013-01-01T12:00:00Z")), schema, key=("k", "at"), text=True)
    assert result.good["y"].to_list() == [1.0, 0.0, 1.0]
    assert result.bad.select("y", "_rules").rows() == [("perhaps", ["y.type", "y.is 0 or 1"])]


def broken_by(rule: Rule, expression: pl.Expr) -> Rule:
    return replace(rule, broken=expression)


def test_canaries_tell_whether_the_rules_run() -> None:
    made = compiled(contract(x=pa.Column(int, pa.Check.gt(0), nullable=True)), SCHEMA, key=("k",), time="at")
    assert made.faults == ()
    rules = {rule.name: rule for rule in made.rules}
    never, always = pl.lit(value=False), pl.col("x").is_not_null()
    blind = broken_by(rules["k.not_null"], pl.col("k").is_null() & never)
    assert list(dead_rules([blind], made.columns)) == [
        "k.not_null did not run: a row of nothing but nulls passed it; report this"
    ]
    wrong = broken_by(rules["x.greater_than"], always)
    assert list(dead_rules([rules["k.not_null"], wrong], made.columns)) == [
        "x.greater_than and Pandera's own check disagree about made-up rows; report this"
    ]


def test_a_file_whose_rules_do_not_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were Polars to lose the filter, no row would be found bad; the canary says so."""
    monkeypatch.setattr(pl.LazyFrame, "filter", lambda self, *_: self.limit(0))
    result = compiled(contract(), SCHEMA, key=("k",), time="at")
    assert "k.not_null did not run: a row of nothing but nulls passed it; report this" in result.faults


def test_a_check_that_fails_on_made_up_values_does_not_silence_the_canaries() -> None:
    def inverse(value: int) -> bool:
        return 1 / value > 0

    schema = contract(x=pa.Column(int, pa.Check(inverse, element_wise=True)))
    assert compiled(schema, SCHEMA, key=("k",), time="at").faults == ()
    result = judge(FRAME, schema, key=("k",))
    assert result.bad["_rules"].to_list() == [["x.inverse"]]


def test_rules_that_need_a_pass_of_their_own_are_told_with_their_cost() -> None:
    schema = contract(
        pa.Check(lambda data: data.lazyframe.collect().height > 3, name="rows"),
        pa.Check(lambda data: data.lazyframe.select(pl.col("x").mean() > 0), name="mean"),
        pa.Check(lambda data: data.lazyframe.select(pl.col("x") > pl.col("x").mean()), name="above"),
        x=pa.Column(int, pa.Check.unique_values_eq({1})),
    )
    seconds = count(0.0, 0.5)
    told = costs(schema, key=("k",), time="at", clock=lambda: next(seconds))
    assert [(cost.rule, cost.why, cost.columns) for cost in told] == [
        ("x.unique_values_eq", "it uses collect of the frame", ("x",)),
        ("rows", "it uses collect of the frame", ("k", "at", "x")),
        ("mean", "it is about the frame as a whole", ("x",)),
        ("above", "it looks at other rows or at all columns", ("x",)),
        ("k.unique", "it compares all rows", ("k",)),
    ]
    assert told[2] == Cost(
        rule="mean", why="it is about the frame as a whole", scans=1, columns=("x",), milliseconds=500.0
    )


def test_small_files_leave_nothing_behind_but_their_dead_letter(tmp_path: Path) -> None:
    from validation.contract import Quarantine, Terms, judge_batch

    terms = Terms(contract=contract(), policy=Quarantine(max_bad_share=1.0), key=("k",), time="at")
    for number in range(3):
        frame = FRAME.with_columns(x=pl.lit(number, pl.Int64))
        path = tmp_path / f"{number}.parquet"
        judge_batch(frame.lazy(), terms, pipeline="p", batch=str(number), as_of=NOON, dead_letter=path)
    assert [path.name for path in tmp_path.iterdir()] == ["0.parquet"]


def test_an_old_dead_letter_does_not_outlive_a_second_judgement(tmp_path: Path) -> None:
    from validation.contract import Quarantine, Terms, judge_batch

    path = tmp_path / "1.parquet"
    path.write_bytes(b"left by a process that died")
    terms = Terms(contract=contract(), policy=Quarantine(), key=("k",), time="at")
    judged = judge_batch(FRAME.head(1).lazy(), terms, pipeline="p", batch="1", as_of=NOON, dead_letter=path)
    assert judged.bad is None
    assert not path.exists()


def test_the_judged_moment_is_an_argument() -> None:
    late = datetime(2013, 1, 1, 12, tzinfo=UTC) - timedelta(days=60)
    assert judge(FRAME.head(1), contract(), key=("k",), as_of=late).bad["_rules"].to_list() == [["at.in_reach"]]
