"""Lookups through the real loop: what is learned from later is what was scored, though tables come late or twice."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from flows.ingest import ingest
from flows.retrain import retrain
from flows.score import score
from storage.prediction_log import read_predictions
from tasks.snapshots import take_snapshot
from tests.flows.world import POLICIES, World, day

DEFINITION = f"""
from dataclasses import replace
from typing import Annotated

import pandera.polars as pa
import polars as pl

from andon import *
from pipelines.bikes import PIPELINE as BIKES


class Trains(pa.DataFrameModel):
    weekday: int
    counted_at: Annotated[pl.Datetime, "us", "UTC"]
    arriving: int = pa.Field(ge=0)


def features(hours):
    return hours.select("ts", "hour", "workingday", "temp", "arriving")


TRAINS = Table(name="trains", path="landing/trains/*.parquet", contract=Trains, key="weekday", time="counted_at")

PIPELINE = replace(
    BIKES,
    features=features,
    lookups=(Lookup(table=TRAINS, on="weekday", as_of="ts", before="1h", max_age="12h"),),
    {POLICIES}
)
"""


def counts(*counted: tuple[datetime, int]) -> pl.DataFrame:
    """Trains counted at moments, for the weekday of the moment (0 is Sunday)."""
    rows = [(at.isoweekday() % 7, at, arriving) for at, arriving in counted]
    schema: dict[str, Any] = {"weekday": pl.Int64, "counted_at": pl.Datetime("us", "UTC"), "arriving": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")


def every_six_hours(world: World, week: int) -> pl.DataFrame:
    start = world.weeks[week].starts_at
    return counts(*((start + timedelta(hours=6 * n), 100 * week + n) for n in range(28)))


@pytest.fixture
def told(empty: World) -> World:
    """As on 31 January with a champion; the trains of that week have not come."""
    (empty.home / "pipelines" / "bikes.py").write_text(DEFINITION)
    for week in range(5):
        empty.land(week)
        empty.put("trains", f"{week}.parquet", every_six_hours(empty, week))
        ingest("bikes", as_of=empty.weeks[week].starts_at)
    empty.land(5)
    ingest("bikes", as_of=day(1, 31))
    retrain("bikes", as_of=day(1, 31))
    score("bikes", as_of=day(1, 31))
    return empty


def scored(world: World) -> pl.DataFrame:
    """What stood in the rows that were scored."""
    folder = world.site.lake.predictions("bikes")
    return read_predictions(folder, world.site.pipeline.raw_schema, key=("ts",), time="ts").select("ts", "arriving")


def learned(world: World, at: datetime) -> pl.DataFrame:
    """What a model would learn from at a moment."""
    snapshot = take_snapshot(world.site, at)
    assert snapshot is not None
    return snapshot.rows.select("ts", "arriving")


def test_what_was_scored_without_late_trains_is_learned_without_them(told: World) -> None:
    before = scored(told).filter(pl.col("ts") >= day(1, 31))
    assert before["arriving"].null_count() == before.height == 168
    told.put("trains", "5.parquet", every_six_hours(told, 5))
    told.put("trains", "6.parquet", every_six_hours(told, 6))
    told.land(6)
    ingest("bikes", as_of=day(2, 7))
    score("bikes", as_of=day(2, 7))
    told.put("trains", "6_corrected.parquet", counts((day(2, 8, 6), 999), (day(2, 9, 6), 999)))
    told.land(7)
    ingest("bikes", as_of=day(2, 14))
    score("bikes", as_of=day(2, 14))

    logged = scored(told)
    at = dict(logged.rows())
    assert (at[day(2, 7, 1)], at[day(2, 8, 6)], at[day(2, 8, 7)], at[day(2, 8, 13)]) == (600, 604, 605, 606)
    both = logged.join(learned(told, day(2, 14)), on="ts", suffix="_learned")
    assert both.height > 300
    assert both["arriving"].equals(both["arriving_learned"], null_equal=True)
    assert learned(told, day(2, 7)).filter(pl.col("ts") >= day(1, 31))["arriving"].null_count() > 100


def test_broken_counts_are_set_aside_and_older_ones_stand_in(told: World) -> None:
    broken = every_six_hours(told, 6).with_columns(
        arriving=pl.when(pl.col("counted_at") == day(2, 8, 6)).then(-1).otherwise("arriving")
    )
    told.put("trains", "6.parquet", broken)
    told.land(6)
    (*_, rows) = ingest("bikes", as_of=day(2, 7))
    assert rows.outcome == "accept"
    assert [batch.rows_quarantined for batch in told.ledger.batches("bikes", kind="trains")] == [0, 0, 0, 0, 0, 1]
    score("bikes", as_of=day(2, 7))
    at = dict(scored(told).rows())
    assert (at[day(2, 8, 6)], at[day(2, 8, 7)], at[day(2, 8, 12)], at[day(2, 8, 13)]) == (604, 604, 604, 606)
