from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from tests.unit.contract_world import NOON, TIME, Result, judge
from validation.contract import Quarantine, RuleCount, check_limits, duplicate, refused
from validation.errors import DefinitionError


class Flights(pa.DataFrameModel):
    flight_id: str = pa.Field(unique=True)
    at: Annotated[pl.Datetime, "us", "UTC"]
    distance: float = pa.Field(gt=0, le=6_000, nullable=True)
    carrier: str = pa.Field(isin=["AA", "UA"])

    @pa.dataframe_check
    @classmethod
    def far_ones_are_united(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select((pl.col("distance") < 5_000) | (pl.col("carrier") == "UA"))


def flights(**columns: list[Any]) -> pl.DataFrame:
    rows = max((len(values) for values in columns.values()), default=4)
    whole = {
        "flight_id": [f"F{row}" for row in range(rows)],
        "at": [NOON] * rows,
        "distance": [100.0] * rows,
        "carrier": ["AA"] * rows,
    }
    return pl.DataFrame(whole | columns, schema_overrides={"at": TIME}, strict=False)


def judged(frame: pl.DataFrame, contract: Any = Flights, **asked: Any) -> Result:
    return judge(frame, contract, **asked)


def test_a_batch_that_keeps_its_contract_is_accepted_whole() -> None:
    frame = flights()
    result = judged(frame)
    assert result.verdict.outcome == "accept"
    assert result.verdict.reasons == ("all 4 rows keep the contract's 8 rules",)
    assert (result.verdict.rows_in, result.verdict.rows_accepted, result.verdict.rows_quarantined) == (4, 4, 0)
    assert result.good.equals(frame)
    assert result.bad.schema == frame.schema | {"_row": pl.Int64, "_rules": pl.List(pl.String)}
    assert result.bad.is_empty()


def test_bad_rows_are_set_aside_with_their_position_and_all_rules_that_they_break() -> None:
    frame = flights(distance=[100.0, -1.0, 5_500.0, 7_000.0], carrier=["AA", "XX", "AA", "UA"])
    result = judged(frame)
    assert result.verdict.outcome == "quarantine"
    assert result.bad.select("_row", "_rules").rows() == [
        (1, ["distance.greater_than", "carrier.isin"]),
        (2, ["far_ones_are_united"]),
        (3, ["distance.less_than_or_equal_to"]),
    ]
    assert result.good["flight_id"].to_list() == ["F0"]
    assert result.verdict.rules[0] == RuleCount(name="distance.greater_than", rows=1, sample=("row 1, distance=-1.0",))
    assert result.verdict.reasons[0] == (
        "1 of 4 rows (25.00%) break distance.greater_than (greater_than(0)), set aside; such as row 1, distance=-1.0"
    )


def test_the_first_row_of_a_key_is_kept_and_later_ones_are_set_aside() -> None:
    result = judged(flights(flight_id=["F", "G", "F", "F"], distance=[-1.0, 1.0, 2.0, 3.0]))
    assert result.bad["_rules"].to_list() == [["distance.greater_than"], ["flight_id.unique"], ["flight_id.unique"]]


def test_the_key_is_guarded_also_where_the_contract_does_not_ask_for_it() -> None:
    lax = pa.DataFrameSchema(
        {"flight_id": pa.Column(str, nullable=True), "at": pa.Column(TIME, nullable=True), "x": pa.Column(int)}
    )
    frame = pl.DataFrame(
        {"flight_id": ["F", None, "F", "G"], "at": [NOON, NOON, NOON, None], "x": [1, 2, 3, 4]},
        schema_overrides={"at": TIME},
    )
    assert judged(frame, lax).bad["_rules"].to_list() == [["flight_id.not_null"], ["flight_id.unique"], ["at.not_null"]]


def test_nan_counts_as_null() -> None:
    strict = pa.DataFrameSchema({"flight_id": pa.Column(str), "at": pa.Column(TIME), "distance": pa.Column(float)})
    frame = flights(distance=[1.0, float("nan"), None]).select("flight_id", "at", "distance")
    assert judged(frame, strict).bad["_row"].to_list() == [1, 2]
    accepted = judged(flights(distance=[1.0, float("nan"), None]))
    assert accepted.verdict.outcome == "accept"
    assert accepted.good["distance"].to_list() == [1.0, None, None]


def test_columns_are_compared_before_any_rule_is_asked() -> None:
    frame = flights(distance=[-1, -1]).with_columns(pl.col("distance").cast(pl.Int32)).drop("carrier")
    result = judged(frame)
    assert result.verdict.outcome == "refuse"
    assert result.verdict.reasons == (
        "column 'distance' has the wrong type: expected Float64, got Int32; convert it upstream",
        "column 'carrier' is missing: expected String, got none; deliver it",
    )
    assert result.verdict.rules == ()
    assert result.good.is_empty()
    assert result.bad.is_empty()


def test_extra_columns_are_dropped_or_refused_by_a_strict_contract() -> None:
    frame = flights().with_columns(note=pl.lit("x"))
    assert judged(frame).good.columns == ["flight_id", "at", "distance", "carrier"]
    strict = pa.DataFrameSchema(Flights.to_schema().columns, strict=True)
    assert judged(frame, strict).verdict.reasons == (
        "column 'note' is not in the strict contract: expected none, got String; drop it or add it",
    )


def test_an_optional_column_that_is_missing_is_filled_with_nulls() -> None:
    columns = {"flight_id": pa.Column(str), "at": pa.Column(TIME), "gate": pa.Column(str, required=False)}
    result = judged(flights().select("flight_id", "at"), pa.DataFrameSchema(columns))
    assert result.verdict.outcome == "accept"
    assert result.good["gate"].to_list() == [None] * 4


@pytest.mark.parametrize(("bad", "outcome"), [(1, "quarantine"), (2, "quarantine"), (3, "refuse")])
def test_a_batch_is_refused_above_its_limit_and_not_at_it(bad: int, outcome: str) -> None:
    result = judged(flights(distance=[-1.0] * bad + [1.0] * (10 - bad)), policy=Quarantine(max_bad_share=0.2))
    assert result.verdict.outcome == outcome
    assert result.verdict.rows_quarantined == result.bad.height == bad
    assert result.verdict.rows_accepted == result.good.height == (0 if outcome == "refuse" else 10 - bad)


def test_a_single_rule_can_have_a_limit_of_its_own() -> None:
    policy = Quarantine(max_bad_share=0.5, per_rule={"carrier.isin": 0.0})
    assert judged(flights(distance=[-1.0, 1.0, 1.0]), policy=policy).verdict.outcome == "quarantine"
    result = judged(flights(carrier=["XX", "AA", "AA"]), policy=policy)
    assert result.verdict.outcome == "refuse"
    assert result.verdict.reasons[0] == "1 of 3 rows break carrier.isin; at most 0.00% may"


def test_a_limit_for_an_unknown_rule_is_a_wrong_definition() -> None:
    with pytest.raises(
        DefinitionError,
        match=r"names 'carrier', the contract's rules are: at\.in_reach, at\.not_null, at\.type, carrier\.i",
    ):
        check_limits(Quarantine(per_rule={"carrier": 0.1}), Flights, key=("flight_id",), time="at")
    named = Quarantine(
        per_rule={"carrier.isin": 0.1, "at.in_reach": 0.0, "carrier.type": 0.0, "far_ones_are_united": 0}
    )
    check_limits(named, Flights, key=("flight_id",), time="at")


def test_a_limit_may_name_a_rule_of_a_column_that_only_a_pattern_names() -> None:
    contract = pa.DataFrameSchema({"^x_.$": pa.Column(int, pa.Check.gt(0), regex=True)})
    check_limits(Quarantine(per_rule={"x_1.greater_than": 0.1}), contract, key=("k",), time="at")
    with pytest.raises(DefinitionError, match=r"names 'y_1\.greater_than'"):
        check_limits(Quarantine(per_rule={"y_1.greater_than": 0.1}), contract, key=("k",), time="at")


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_limit_is_a_share(share: float) -> None:
    with pytest.raises(DefinitionError, match=r"quarantine\.max_bad_share must be a share"):
        Quarantine(max_bad_share=share)


def scalar_false(_data: Any) -> bool:
    return False


def raises(_data: Any) -> pl.LazyFrame:
    raise KeyError("no such thing")


def two_rows(_data: Any) -> pl.LazyFrame:
    return pl.LazyFrame({"x": [True, True]})


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (pa.Check(scalar_false), "the batch as a whole breaks scalar_false (scalar_false)"),
        (
            pa.Check(lambda data: data.lazyframe.select(pl.len() > 100), name="rows", error="more than 100 rows"),
            "the batch as a whole breaks rows (more than 100 rows)",
        ),
        (pa.Check(raises), "raises could not be evaluated: KeyError: 'no such thing'"),
        (pa.Check(two_rows), "two_rows answered for 2 rows, the batch has 4"),
    ],
)
def test_a_rule_about_the_whole_batch_refuses_it_even_beside_bad_rows(check: pa.Check, reason: str) -> None:
    contract = pa.DataFrameSchema(Flights.to_schema().columns, checks=check)
    result = judged(flights(distance=[-1.0, 1.0, 1.0, 1.0]), contract)
    assert result.verdict.outcome == "refuse"
    assert result.verdict.reasons[0] == reason
    assert result.good.is_empty()
    assert result.bad["_row"].to_list() == [0]


def test_a_check_that_only_warns_is_told_and_sets_nothing_aside() -> None:
    warning = pa.Check(lambda data: data.lazyframe.select(pl.col("distance") < 50), name="near", raise_warning=True)
    result = judged(flights(), pa.DataFrameSchema(Flights.to_schema().columns, checks=warning))
    assert result.verdict.outcome == "accept"
    assert result.verdict.reasons == ("all 4 rows keep the contract's 7 rules",)
    assert result.verdict.warnings == (
        "4 of 4 rows (100.00%) break near (near), only warned of; such as row 0, distance=100.0",
    )


def test_no_rows_and_no_rules_prove_nothing() -> None:
    assert judged(flights().clear()).verdict.reasons == ("the batch has no rows",)
    empty = pa.DataFrameSchema({"flight_id": pa.Column(str, nullable=True), "at": pa.Column(TIME, nullable=True)})
    assert judged(flights(), empty).verdict.reasons == (
        "the contract has no rules, so it proves nothing: add checks to it",
    )


@pytest.mark.parametrize(("age", "outcome"), [(timedelta(days=7), "accept"), (timedelta(days=7, seconds=1), "refuse")])
def test_a_batch_whose_newest_row_is_too_old_is_stale(age: timedelta, outcome: str) -> None:
    result = judged(flights(), as_of=NOON + age, max_age=timedelta(days=7))
    assert result.verdict.outcome == outcome
    if outcome == "refuse":
        assert result.verdict.reasons[0] == (
            "the newest row is of 2013-01-01 12:00, 7 days, 0:00:01 old; at most 7 days, 0:00:00 is allowed"
        )


def test_rules_of_one_name_are_numbered() -> None:
    checks = [pa.Check.isin(["AA"]), pa.Check.isin(["AA", "UA"])]
    contract = pa.DataFrameSchema(Flights.to_schema().columns | {"carrier": pa.Column(str, checks)})
    assert judged(flights(carrier=["XX"]), contract).bad["_rules"].to_list() == [["carrier.isin", "carrier.isin#2"]]


def test_a_large_batch_may_be_bad_in_every_row() -> None:
    rows = 300_000
    frame = flights(distance=[-1.0] * rows, carrier=["XX"] * rows)
    result = judged(frame)
    assert result.bad.height == rows
    assert [(count.name, count.rows, len(count.sample)) for count in result.verdict.rules] == [
        ("distance.greater_than", rows, 5),
        ("carrier.isin", rows, 5),
    ]


def test_what_cannot_be_judged_still_gets_a_verdict() -> None:
    verdict = refused(pipeline="flights", batch="7", reason="the file is truncated", as_of=NOON)
    assert str(verdict) == "flights contract 7: refuse, because the file is truncated"
    again = duplicate(pipeline="flights", batch="8", reason="the bytes of 8 came before, as 3", as_of=NOON)
    assert (again.outcome, again.rows_in, asdict(again)["rules"]) == ("duplicate", 0, ())


cells = st.one_of(st.none(), st.floats(-2, 12), st.just(float("nan")))
schemas = st.fixed_dictionaries(
    {
        "checks": st.lists(
            st.sampled_from(
                [pa.Check.gt(0), pa.Check.le(10), pa.Check.in_range(1, 9), pa.Check.isin([1.0, 2.0]), pa.Check.ne(0.0)]
            ),
            max_size=3,
        ),
        "nullable": st.booleans(),
        "unique": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(cells, min_size=2, max_size=12), column=schemas)
def test_rows_are_bad_where_pandera_itself_says_so(values: list[float | None], column: dict[str, Any]) -> None:
    """Except, by our choice, for NaN (pandera lets it pass `gt`) and for the first of equal values (it reports all)."""
    schema = pa.DataFrameSchema(
        {"flight_id": pa.Column(str), "at": pa.Column(TIME), "x": pa.Column(float, **column | {"unique": False})}
    )
    frame = pl.DataFrame(
        {"flight_id": [str(row) for row in range(len(values))], "at": [NOON] * len(values), "x": values},
        schema={"flight_id": pl.String, "at": TIME, "x": pl.Float64},
    )
    try:
        schema.validate(frame.with_columns(pl.col("x").fill_nan(None)), lazy=True)
        expected = set()
    except SchemaErrors as error:
        expected = set(error.failure_cases["index"].to_list())
    assert set(judged(frame, schema).bad["_row"].to_list()) == expected


def test_nothing_that_is_given_is_modified() -> None:
    frame = flights(distance=[float("nan"), -1.0])
    before = frame.clone()
    judged(frame)
    assert frame.equals(before)


def test_rows_that_lie_too_far_ahead_or_where_python_has_no_year_are_set_aside_and_do_not_count_as_new() -> None:
    ahead, before, after = "2013-02-01 12:00:00.000001", "-1987-01-01", "+12013-01-01"
    moments = pl.Series([f"{NOON:%Y-%m-%d %H:%M:%S}", "2013-02-01 12:00:00", ahead])
    at = moments.str.to_datetime(time_unit="us", time_zone="UTC").to_list()
    frame = flights(at=[*at, NOON, NOON]).with_columns(
        at=pl.when(pl.col("flight_id") == "F3")
        .then(pl.col("at").dt.offset_by("-4000y"))
        .when(pl.col("flight_id") == "F4")
        .then(pl.col("at").dt.offset_by("10000y"))
        .otherwise(pl.col("at"))
    )
    result = judged(frame, max_age=timedelta(days=1))
    assert result.verdict.outcome == "quarantine"
    assert result.good["flight_id"].to_list() == ["F0", "F1"]
    assert result.bad.select("_row", "_rules").rows() == [(row, ["at.in_reach"]) for row in (2, 3, 4)]
    assert "at most 31 days, 0:00:00 after the data time: source.max_ahead" in result.verdict.reasons[0]
    assert before[:5] in result.verdict.rules[0].sample[1]
    assert after[:6] in result.verdict.rules[0].sample[2]


def test_how_far_ahead_rows_may_lie_is_the_pipelines_choice() -> None:
    frame = flights(at=[NOON + timedelta(days=300)])
    assert judged(frame).verdict.outcome == "quarantine"
    assert judged(frame, max_ahead=timedelta(days=300)).verdict.outcome == "accept"


rows = st.fixed_dictionaries(
    {
        "flight_id": st.sampled_from(["F1", "F2", "F3", "F4", None]),
        "distance": st.sampled_from([1.0, -1.0, 9_000.0, None, float("nan")]),
        "carrier": st.sampled_from(["AA", "UA", "XX", None]),
        "days": st.sampled_from([0, 1, 99]),
    }
)
rank = pa.Check(lambda data: data.lazyframe.select(pl.col("distance").rank() < 9), name="rank")


@settings(max_examples=60, deadline=None)
@given(drawn=st.lists(rows, min_size=1, max_size=30))
def test_every_row_is_either_accepted_or_set_aside(drawn: list[dict[str, Any]]) -> None:
    """None is lost, none is twice, each is as it came and where it was."""
    whole = pl.DataFrame(
        drawn, schema={"flight_id": pl.String, "distance": pl.Float64, "carrier": pl.String, "days": int}
    )
    at = (pl.lit(NOON, TIME) + pl.duration(days="days")).alias("at")
    frame = whole.select("flight_id", at, "distance", "carrier")
    result = judged(frame, pa.DataFrameSchema(Flights.to_schema().columns, checks=rank))
    numbered = frame.with_columns(pl.col("distance").fill_nan(None)).with_row_index("_row")
    kept = numbered.filter(~pl.col("_row").is_in(result.bad["_row"].implode())).drop("_row")
    assert result.good.equals(kept)
    assert result.bad.drop("_rules", "_row").equals(frame[result.bad["_row"].to_list()])
    assert result.bad["_rules"].list.len().min() in (None, *range(1, 9))
    assert result.verdict.rows_in == result.verdict.rows_accepted + result.verdict.rows_quarantined == frame.height
