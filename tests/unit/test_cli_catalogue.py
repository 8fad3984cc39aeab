"""`andon catalogue`: the tables of a pipeline, what they promise, and how fresh they are."""

import json
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from andon.cli.tables import in_words
from tests.unit.lineage_world import arrive, finish
from tests.unit.shell import Shell

DEFINITION = """
from typing import Annotated
import pandera.polars as pa
import polars as pl
from andon import Lookup, Table
from tests.unit.definitions import SOURCE, define
from dataclasses import replace

class Trips(pa.DataFrameModel):
    trip_id: str
    started_at: Annotated[pl.Datetime, "us", "UTC"]
    zone: str

class Weather(pa.DataFrameModel):
    zone: str
    seen_at: Annotated[pl.Datetime, "us", "UTC"]
    rain: float

WEATHER = Table(name="weather", path="landing/weather/*.parquet", contract=Weather, key="zone", time="seen_at")
PIPELINE = define(
    name="trips",
    owner="ann",
    description="which trips will be late",
    contract=Trips,
    source=replace(SOURCE, max_age="2d"),
    lookups=(Lookup(table=WEATHER, on="zone", as_of="started_at"),),
)
"""


@pytest.fixture
def trips(andon: Shell) -> Shell:
    """Of rows two batches were accepted (until 2 and 3 April), one is held, one refused, one claimed; one of labels."""
    (andon.home.parent / "pipelines" / "trips.py").write_text(DEFINITION)
    ledger = andon.ledger()
    finish(ledger, arrive(ledger, "1.parquet", "a1"), "accepted", rows=1_000)
    finish(ledger, arrive(ledger, "2.parquet", "a2"), "accepted", rows=500, bad=20)
    finish(ledger, arrive(ledger, "3.parquet", "a3"), "suspect", rows=70)
    finish(ledger, arrive(ledger, "4.parquet", "a4"), "refused", rows=9, bad=9)
    arrive(ledger, "5.parquet", "a5")
    finish(ledger, arrive(ledger, "1.parquet", "l1", kind="labels"), "accepted", rows=900)
    return andon


def catalogue(shell: Shell, *words: str) -> dict[str, Any]:
    return {entry["kind"]: entry for entry in json.loads(shell("catalogue", *words, "--json").out)}


def test_the_tables_of_a_pipeline_are_one_json_list(trips: Shell) -> None:
    entries = catalogue(trips, "trips", "--as-of", "2013-04-04")
    assert list(entries) == ["labels", "weather", "rows"]
    rows = entries["rows"]
    assert len(rows.pop("fingerprint")) == 64
    assert rows == {
        "pipeline": "trips",
        "kind": "rows",
        "owner": "ann",
        "description": "which trips will be late",
        "contract": "Trips",
        "columns": {
            "trip_id": "String",
            "started_at": "Datetime('us', 'UTC')",
            "zone": "String",
        },
        "place": str(trips.home / "lake" / "curated" / "trips"),
        "rows": 1_480,
        "batches": 2,
        "newest": "2013-04-03T00:00:00Z",
        "age_seconds": 86_400.0,
        "max_age_seconds": 172_800.0,
        "is_stale": False,
        "rows_set_aside": 29,
        "suspect": 1,
        "refused": 1,
        "claimed": 1,
        "bytes": None,
        "table_version": None,
    }
    assert (entries["labels"]["rows"], entries["labels"]["columns"]["late"]) == (900, "any type")
    assert (entries["weather"]["contract"], entries["weather"]["newest"]) == ("Weather", None)


def test_size_and_version_are_those_of_the_delta_table(trips: Shell) -> None:
    for _ in range(2):
        pl.DataFrame({"trip_id": ["a"], "_batch": [1]}).write_delta(trips.home / "lake/curated/trips", mode="append")
    rows = catalogue(trips, "trips")["rows"]
    files = [path.stat().st_size for path in (trips.home / "lake" / "curated" / "trips").glob("*.parquet")]
    assert (rows["bytes"], rows["table_version"]) == (sum(files), 1)


def test_people_read_a_table_with_places_and_columns(trips: Shell) -> None:
    ran = trips("catalogue", "trips", "--as-of", "2013-04-04T12:30")
    assert (ran.code, ran.out) == (0, "")
    assert "trips: which trips will be late (owner: ann)" in ran.err
    assert "rows 1,480 2 2013-04-03 00:00 1 d 12 h 29 1 suspect, 1 refused, 1 not judged yet Trips " in ran.err
    assert "weather 0 0 - - - - Weather " in ran.err
    assert f"rows {trips.home / 'lake' / 'curated' / 'trips'} trip_id String, started_at Datetime" in ran.err


@pytest.mark.parametrize(
    ("as_of", "told"),
    [("2013-04-05", "2 d 29 "), ("2013-04-05T00:01", "2 d 1 min, stale: over 2 d 29 "), ("2013-04-02", "0 s 29 ")],
)
def test_rows_are_stale_when_older_than_the_definition_allows(trips: Shell, as_of: str, told: str) -> None:
    assert f"2013-04-03 00:00 {told}" in trips("catalogue", "trips", "--as-of", as_of).err


def test_all_pipelines_are_told_without_columns(trips: Shell) -> None:
    (trips.home.parent / "pipelines" / "more.py").write_text(
        "from tests.unit.definitions import define\nPIPELINE = define(name='more')"
    )
    ran = trips("catalogue")
    assert "more (nobody owns it: write owner= into its definition)" in ran.err
    assert "trip_id" not in ran.err
    assert {entry["pipeline"] for entry in json.loads(trips("catalogue", "--json").out)} == {"more", "trips"}


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(days=-1), "0 s"),
        (timedelta(milliseconds=999), "0 s"),
        (timedelta(seconds=1), "1 s"),
        (timedelta(seconds=3_599), "59 min 59 s"),
        (timedelta(hours=1), "1 h"),
        (timedelta(days=1, seconds=1), "1 d 1 s"),
        (timedelta(days=4_970, hours=23, minutes=59), "4,970 d 23 h"),
    ],
)
def test_an_age_is_said_by_its_two_largest_units(age: timedelta, words: str) -> None:
    assert in_words(age) == words
