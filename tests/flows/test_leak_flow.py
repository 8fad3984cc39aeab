"""Values that were filled in after the outcome: the log knows what was asked, the lake what the rows are now."""

from dataclasses import replace

import polars as pl

from flows.ingest import ingest
from flows.score import score
from tasks.champions import incumbent
from tasks.early_leaks import leaks_since_scored
from tests.flows.world import POLICIES, World, day


def corrected(world: World, number: int) -> pl.DataFrame:
    """A week delivered anew: its winds, in order of what was rented in the hours that they are now said of."""
    rows = world.rows(number)
    files = [week.labels for week in world.weeks if week.labels]
    rented = rows.join(pl.concat([pl.read_parquet(file) for file in files]), on="ts", how="left")["rentals"]
    winds = rows["windspeed"].sort()[(rented.rank("ordinal") - 1).fill_null(0).cast(pl.Int64)]
    return rows.with_columns(windspeed=winds)


def test_what_is_corrected_after_the_outcome_is_found_by_what_was_scored(world: World) -> None:
    world.define(POLICIES + 'source=replace(BIKES.source, on_repeat="last", max_age="60d"),')
    world.land(6, 7, 8)
    ingest("bikes", as_of=day(2, 26))
    score("bikes", as_of=day(2, 26))
    site = world.site
    pipeline, champion = site.pipeline, incumbent(site)
    assert champion is not None
    assert leaks_since_scored(site, pipeline.snapshot(day(2, 26)), champion) == ()

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


def test_a_column_that_the_champion_was_never_asked_with_has_learned_nothing(world: World) -> None:
    """The log holds null for it, which is no value that it once had."""
    world.land(6, 7, 8)
    ingest("bikes", as_of=day(2, 26))
    score("bikes", as_of=day(2, 26))
    champion = incumbent(world.site)
    assert champion is not None
    assert champion.bundle is not None
    known = champion.bundle
    schema = {name: dtype for name, dtype in known.raw_schema.items() if name != "temp"}
    older = replace(known, model=replace(known.model, spec=replace(known.model.spec, raw_schema=schema)))
    rows = world.site.pipeline.snapshot(day(2, 26))
    telling = rows.with_columns(temp=pl.col("rentals").rank() / rows.height)
    assert "temp" in {leak.column for leak in leaks_since_scored(world.site, telling, champion)}
    assert leaks_since_scored(world.site, telling, replace(champion, bundle=older)) == ()
