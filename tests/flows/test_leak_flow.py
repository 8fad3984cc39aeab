"""Values that were filled in after the outcome: the log knows what was asked, the lake what the rows are now."""

from dataclasses import replace

import polars as pl
import pytest

from andon import Training
from flows.ingest import ingest
from flows.retrain import retrain
from flows.score import score
from tasks.champions import Incumbent, incumbent
from tasks.early_leaks import leaks_since_scored
from tests.flows.world import POLICIES, World, day
from validation.errors import RefusedError


def corrected(world: World, number: int) -> pl.DataFrame:
    """A week delivered anew: its winds, in order of what was rented in the hours that they are now said of."""
    rows = world.rows(number)
    files = [week.labels for week in world.weeks if week.labels]
    rented = rows.join(pl.concat([pl.read_parquet(file) for file in files]), on="ts", how="left")["rentals"]
    winds = rows["windspeed"].sort()[(rented.rank("ordinal") - 1).fill_null(0).cast(pl.Int64)]
    return rows.with_columns(windspeed=winds)


def without(champion: Incumbent, column: str) -> Incumbent:
    """The champion as if its contract had not had this column."""
    assert champion.bundle is not None
    model = champion.bundle.model
    schema = {name: dtype for name, dtype in model.spec.raw_schema.items() if name != column}
    older = replace(model, spec=replace(model.spec, raw_schema=schema))
    return replace(champion, bundle=replace(champion.bundle, model=older))


def test_what_is_corrected_after_the_outcome_is_found_by_what_was_scored(world: World) -> None:
    world.define(POLICIES + 'source=replace(BIKES.source, on_repeat="last", max_age="60d"),')
    world.land(6, 7, 8)
    ingest("bikes", as_of=day(2, 26))
    score("bikes", as_of=day(2, 26))
    site = world.site
    pipeline, champion = site.pipeline, incumbent(site)
    assert champion is not None
    assert leaks_since_scored(site, pipeline.snapshot(day(2, 26)), champion) == ()

    # Nor is a column a leak with which this champion was never asked: the log's null is no value that it once had.
    telling = pipeline.snapshot(day(2, 26)).with_columns(temp=pl.col("rentals").rank() / 2_000)
    assert "temp" in {leak.column for leak in leaks_since_scored(site, telling, champion)}
    assert leaks_since_scored(site, telling, without(champion, "temp")) == ()

    for number in (5, 6, 7):
        world.put("bikes", f"{number}-corrected.parquet", corrected(world, number))
    ingest("bikes", as_of=day(2, 27))
    rows = pipeline.snapshot(day(2, 27))
    found = leaks_since_scored(site, rows, champion)
    assert [(leak.column, leak.kind) for leak in found] == [("windspeed", "future"), ("discomfort", "future")]
    assert "rows had another value when they were scored" in found[0].sentence
    assert leaks_since_scored(site, rows, None) == ()
    assert leaks_since_scored(site, rows, replace(champion, bundle=None, unable="lost")) == ()
    assert leaks_since_scored(site, rows.clear(), champion) == ()


def test_a_leak_ends_a_retrain_with_what_to_do_and_a_trusted_input_does_not(world: World) -> None:
    """The winds of all weeks are delivered anew, and say what was rented."""
    changed = POLICIES + 'source=replace(BIKES.source, on_repeat="last", max_age="60d"),'
    world.define(changed)
    world.land(6)
    for number in range(6):
        rented = pl.read_parquet(world.weeks[number + 1].labels or "").select("ts", "rentals")
        told = world.rows(number).join(rented, on="ts").with_columns(windspeed=pl.col("rentals") / 1_000)
        world.put("bikes", f"{number}-corrected.parquet", told.drop("rentals"))
    ingest("bikes", as_of=day(2, 7))
    retrain("bikes", as_of=day(2, 7))
    trained = world.ledger.verdicts("bikes", kind="training")[-1]
    assert trained.outcome == "not trained"
    assert "input 'windspeed' is a copy of the target (agreement 0.9" in trained.reasons[0]
    assert "drop it in features, or, if it is honest, say Training(trusted=('windspeed',))" in trained.reasons[0]
    assert world.champion() == "1"
    pipeline = world.site.pipeline
    rows = pipeline.snapshot(day(2, 7))
    with pytest.raises(RefusedError, match="input 'windspeed' is a copy of the target"):
        pipeline.fit(rows)

    trusting = replace(pipeline, training=Training(trusted=("windspeed", "discomfort")))
    assert trusting.fit(rows, search="never").trained_until < day(2, 7)
