"""Lookups: a row gets what was known at its moment and had come in with it or before, and nothing that came later."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon import Lookup, Table
from storage.lookup import look_up

MIDNIGHT = datetime(2024, 5, 1, tzinfo=UTC)
UTC_TIME = pl.Datetime("us", "UTC")
Schema = dict[str, Any]
Engine = Literal["in-memory", "streaming"]


class Weather(pa.DataFrameModel):
    origin: str = pa.Field(nullable=True)
    gate: int
    seen: Annotated[pl.Datetime, "us", "UTC"]
    told: Annotated[pl.Datetime, "us", "UTC"]
    temp: float = pa.Field(nullable=True)
    sky: str


def at(hours: float | None) -> datetime | None:
    return None if hours is None else MIDNIGHT + timedelta(hours=hours)


def table(**changes: Any) -> Table:
    whole: dict[str, Any] = {"name": "weather", "path": "w/*", "contract": Weather, "key": "origin", "time": "seen"}
    return Table(**whole | changes)


def lookup(source: Table, **changes: Any) -> Lookup:
    whole: dict[str, Any] = {"table": source, "on": source.key, "as_of": "leaves", "columns": ("temp",)}
    return Lookup(**whole | changes)


def weather(*rows: tuple[Any, ...]) -> pl.LazyFrame:
    """Observations as (origin, hour of observation, temp, batch, hour at which it came in)."""
    schema: Schema = {
        "origin": pl.String,
        "seen": UTC_TIME,
        "temp": pl.Float64,
        "_batch": pl.Int64,
        "_known_at": UTC_TIME,
    }
    return pl.LazyFrame([(o, at(seen), t, b, at(came)) for o, seen, t, b, came in rows], schema, orient="row")


def trips(*rows: tuple[Any, ...]) -> pl.LazyFrame:
    """Trips as (origin, hour of leaving, hour at which the row came in)."""
    schema: Schema = {"origin": pl.String, "leaves": UTC_TIME, "_known_at": UTC_TIME}
    return pl.LazyFrame([(o, at(leaves), at(came)) for o, leaves, came in rows], schema, orient="row")


def temps(rows: pl.LazyFrame, observed: pl.LazyFrame | None, how: Lookup, *, hour: float = 99) -> list[float | None]:
    told = look_up(rows, observed, how, as_known_at=MIDNIGHT + timedelta(hours=hour)).collect()
    assert told.drop("temp").equals(rows.collect())
    return told["temp"].to_list()


def test_each_row_gets_the_newest_observation_of_its_key_that_was_made_by_its_moment() -> None:
    observed = weather(("A", 1, 10.0, 1, 9), ("A", 2, 20.0, 1, 9), ("B", 2, -5.0, 1, 9), ("A", 4, 40.0, 1, 9))
    rows = trips(("A", 3, 9), ("B", 3, 9), ("A", 2, 9), ("A", 0.5, 9), ("C", 3, 9), ("A", 9, 9))
    assert temps(rows, observed, lookup(table())) == [20.0, -5.0, 20.0, None, None, 40.0]


def test_before_asks_earlier_and_delay_makes_known_later() -> None:
    observed = weather(("A", 1, 10.0, 1, 9), ("A", 2, 20.0, 1, 9))
    rows = trips(("A", 5, 9), ("A", 4.9, 9), ("A", 4, 9), ("A", 3.9, 9))
    assert temps(rows, observed, lookup(table(delay="1h"), before="2h")) == [20.0, 10.0, 10.0, None]


@pytest.mark.parametrize(("leaves", "expected"), [(7, 10.0), (7.001, None)])
def test_what_is_older_than_max_age_is_not_told(leaves: float, expected: float | None) -> None:
    assert temps(trips(("A", leaves, 9)), weather(("A", 1, 10.0, 1, 9)), lookup(table(), max_age="6h")) == [expected]


def test_an_observation_that_came_in_after_the_row_is_never_told_though_it_was_made_before() -> None:
    """The second observation was late: the row of 12:00 had been scored without it; that of 13:00 had it."""
    observed = weather(("A", 1, 10.0, 1, 9), ("A", 2, 20.0, 2, 13))
    assert temps(trips(("A", 3, 12), ("A", 3, 13)), observed, lookup(table())) == [10.0, 20.0]


def test_a_correction_counts_for_rows_that_come_after_it() -> None:
    observed = weather(("A", 1, 10.0, 1, 9), ("A", 1, 11.0, 2, 13))
    assert temps(trips(("A", 3, 12), ("A", 3, 13)), observed, lookup(table())) == [10.0, 11.0]


def test_of_versions_that_all_count_the_last_batch_holds_and_within_it_the_one_known_last() -> None:
    dated = table(known_at="told")
    observed = weather(("A", 1, 10.0, 1, 9), ("A", 1, 20.0, 2, 9), ("A", 1, 21.0, 2, 9), ("A", 1, 22.0, 2, 9))
    told = pl.Series("told", [at(2.5), at(1), at(2), at(4)], UTC_TIME)
    assert temps(trips(("A", 3, 9)), observed.with_columns(told), lookup(dated)) == [21.0]


def test_as_known_at_bounds_what_rows_of_any_time_are_told() -> None:
    observed = weather(("A", 1, 10.0, 1, 9), ("A", 2, 20.0, 2, 13))
    assert temps(trips(("A", 3, 13)), observed, lookup(table()), hour=12) == [10.0]
    assert temps(trips(("A", 3, 13)), observed, lookup(table()), hour=8) == [None]


def test_rows_without_the_time_of_their_coming_are_of_now() -> None:
    observed = weather(("A", 1, 10.0, 1, 9), ("A", 2, 20.0, 2, 13))
    online = trips(("A", 3, None)).drop("_known_at")
    assert temps(online, observed, lookup(table()), hour=13) == [20.0]
    assert temps(online, observed, lookup(table()), hour=12) == [10.0]


def test_the_newest_observation_holds_even_where_it_says_nothing() -> None:
    assert temps(trips(("A", 3, 9)), weather(("A", 1, 10.0, 1, 9), ("A", 2, None, 1, 9)), lookup(table())) == [None]


def test_a_null_key_or_moment_finds_nothing_on_either_side() -> None:
    observed = weather((None, 1, 10.0, 1, 9), ("A", None, 20.0, 1, 9), ("A", 1, 30.0, None, None))
    assert temps(trips((None, 3, 9), ("A", None, 9), ("A", 3, 9)), observed, lookup(table())) == [None, None, None]


def test_without_a_table_or_rows_the_columns_are_there_and_empty() -> None:
    everything = lookup(table(), columns=())
    schema: Schema = {"gate": pl.Int64, "told": UTC_TIME, "temp": pl.Float64, "sky": pl.String}
    told = look_up(trips(("A", 3, 9)), None, everything, as_known_at=MIDNIGHT).collect()
    assert told.equals(trips(("A", 3, 9)).collect().with_columns(pl.lit(None, t).alias(n) for n, t in schema.items()))
    assert temps(trips(), weather(("A", 1, 10.0, 1, 9)), lookup(table())) == []
    assert temps(trips(("A", 3, 9)), weather(), lookup(table())) == [None]


# The same against a search through everything, on random histories: few keys and hours, so that all ties happen.


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A question with its data; `rows` and `observed` as dictionaries."""

    how: Lookup
    rows: list[dict[str, Any]]
    observed: list[dict[str, Any]]
    hour: int

    def frames(self) -> tuple[pl.LazyFrame, pl.LazyFrame]:
        keys: Schema = {"origin": pl.String, "gate": pl.Int64}
        asked: Schema = {"id": pl.Int64, **keys, "leaves": UTC_TIME, "_known_at": UTC_TIME}
        seen: Schema = {**keys, "seen": UTC_TIME, "told": UTC_TIME, "temp": pl.Float64, "_batch": pl.Int64}
        rows = pl.LazyFrame(self.rows, asked)
        return rows, pl.LazyFrame(self.observed, {**seen, "sky": pl.String, "_known_at": UTC_TIME})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Hypothesis chooses the question and the sizes; the values come from a seed, since its own seldom meet."""
    keys: tuple[str, ...] = draw(st.sampled_from([(), ("origin",), ("origin", "gate")]))
    dated = draw(st.booleans())
    known = {"known_at": "told"} if dated else {"delay": timedelta(hours=draw(st.integers(0, 2)))}
    how = lookup(
        table(key=keys, **known),
        before=timedelta(hours=draw(st.integers(0, 2))),
        max_age=draw(st.sampled_from([None, timedelta(hours=1), timedelta(hours=3)])),
        columns=("temp", "sky"),
    )
    chance = random.Random(draw(st.integers(0, 2**32)))
    rows = [
        {"id": n, **_about(chance), "leaves": _hour(chance, 2, 8), "_known_at": at(chance.randint(3, 7))}
        for n in range(draw(st.integers(0, 16)))
    ]
    unique = ("seen", "_batch", *keys, *(("told",) if dated else ()))
    observed = {tuple(one[name] for name in unique): one for one in _observations(chance, draw(st.integers(0, 24)))}
    return Case(how=how, rows=rows, observed=list(observed.values()), hour=draw(st.integers(3, 8)))


def _observations(chance: random.Random, count: int) -> list[dict[str, Any]]:
    return [
        {
            **_about(chance),
            "seen": _hour(chance, 0, 5),
            "told": _hour(chance, 0, 6),
            "_batch": chance.randint(1, 3),
            "_known_at": at(chance.randint(3, 7)),
            "temp": float(n),
            "sky": f"s{n}",
        }
        for n in range(count)
    ]


def _about(chance: random.Random) -> dict[str, Any]:
    return {"origin": chance.choice(["A", "A", "A", "B", "B", None]), "gate": chance.choice([1, 1, 2])}


def _hour(chance: random.Random, first: int, last: int) -> datetime | None:
    return at(chance.choice([None, *range(first, last + 1)]))


def searched(row: dict[str, Any], case: Case, columns: Sequence[str] = ("temp", "sky")) -> dict[str, Any]:
    """The row as it must be told, word by word as `look_up` promises."""
    how, source = case.how, case.how.table
    best: tuple[Any, ...] = ()
    for seen in case.observed if row["leaves"] is not None else ():
        if seen["seen"] is None or (source.known_at and seen["told"] is None):
            continue
        asked = row["leaves"] - how.before
        known_at = seen["told"] if source.known_at else seen["seen"] + source.delay
        counts = (
            all(row[name] is not None and row[name] == seen[name] for name in how.on),
            seen["seen"] <= asked,
            known_at <= asked,
            seen["_known_at"] <= min(row["_known_at"], at(case.hour)),
            how.max_age is None or asked - seen["seen"] <= how.max_age,
        )
        if all(counts):
            best = max(best, (seen["seen"], seen["_batch"], known_at, *(seen[name] for name in columns)))
    return {**row, **dict(zip(columns, best[3:] or [None] * len(columns), strict=True))}


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_on_any_history_rows_are_told_what_a_search_through_everything_finds(case: Case, engine: Engine) -> None:
    rows, observed = case.frames()
    told = look_up(rows, observed, case.how, as_known_at=MIDNIGHT + timedelta(hours=case.hour)).collect(engine=engine)
    assert told.to_dicts() == [searched(row, case) for row in case.rows]
    assert told.columns == [*rows.collect_schema().names(), "temp", "sky"]


@settings(max_examples=80, deadline=None)
@given(case=cases())
def test_what_scoring_saw_at_its_time_is_what_training_sees_later(case: Case) -> None:
    """Each batch of rows is scored when it comes, from the table as it is then; all are trained on at the end."""
    rows, observed = case.frames()
    came = sorted({row["_known_at"] for row in case.rows})
    scored = [
        look_up(
            rows.filter(pl.col("_known_at") == now),
            observed.filter(pl.col("_known_at") <= now),  # nothing else is there yet
            case.how,
            as_known_at=now,
        )
        for now in came
    ]
    trained = look_up(rows, observed, case.how, as_known_at=MIDNIGHT + timedelta(days=9)).collect()
    if scored:
        assert pl.concat(scored).sort("id").collect().equals(trained)


def test_a_thousand_late_batches_take_ten_joins() -> None:
    """Each observation comes one batch after the rows that ask for it, for 1,000 batches."""
    hours = range(1, 1_001)
    observed = weather(*(("A", hour, float(hour), hour, hour + 1) for hour in hours))
    rows = trips(*(("A", hour, hour) for hour in hours))
    assert temps(rows, observed, lookup(table()), hour=2_000) == [None, *(float(hour) for hour in range(1, 1_000))]
    plan = look_up(rows, observed, lookup(table()), as_known_at=MIDNIGHT + timedelta(days=90)).explain()
    assert plan.count("ASOF JOIN:") == 11
