"""A reference table and its lookup are checked when the pipeline is made; what they bring, `features` can see."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
import pytest

from andon import DefinitionError, Lookup, Source, Table
from tests.unit.definitions import SOURCE, define


class Weather(pa.DataFrameModel):
    zone: str
    observed_at: Annotated[pl.Datetime, "us", "UTC"]
    temp: float = pa.Field(nullable=True)
    visib: float


class Distances(pa.DataFrameModel):
    zone: int
    observed_at: pl.Datetime
    distance: float


def weather(**changes: Any) -> Table:
    parts = {"name": "weather", "path": "landing/weather/*.parquet", "key": "zone", "time": "observed_at"}
    return Table(**{**parts, "contract": Weather, **changes})


def lookup(table: Table | None = None, **changes: Any) -> Lookup:
    return Lookup(**{"table": table or weather(), "on": "zone", "as_of": "started_at", **changes})


def test_features_and_requests_see_what_is_looked_up_and_a_batch_file_does_not_hold_it() -> None:
    pipeline = define(lookups=(lookup(),))
    looked_up = {"temp": pl.Float64(), "visib": pl.Float64()}
    assert list(pipeline.source_schema) == ["trip_id", "started_at", "distance", "zone"]
    assert pipeline.raw_schema == {**pipeline.source_schema, **looked_up}
    assert set(looked_up) <= set(pipeline.inputs)
    assert pipeline.tables == (weather(),)


def test_columns_can_be_chosen() -> None:
    assert "temp" not in define(lookups=(lookup(columns=("visib",)),)).raw_schema


def test_the_fingerprint_changes_with_what_is_looked_up() -> None:
    made = [define(), define(lookups=(lookup(),)), define(lookups=(lookup(before="3h"),))]
    assert len({pipeline.fingerprint for pipeline in made}) == 3


def test_a_value_can_be_known_at_once_or_later() -> None:
    assert weather().delay == timedelta(0)
    assert weather(delay="1h").delay == timedelta(hours=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: weather(name="rows"), "table.name must be lower-case letters, .* got 'rows'"),
        (lambda: weather(name="Weather"), "table.name must be lower-case letters"),
        (lambda: weather(time="zone"), "table.time must name a column that is not in table.key, got 'zone'"),
        (lambda: weather(known_at="known_at", delay="1h"), "table.delay must be left out where table.known_at"),
        (lambda: weather(delay="soon"), "table.delay must be a duration"),
        (lambda: weather(path="/abs/*.parquet"), "table.path must be a glob below the lake"),
        (lambda: lookup(on="city"), r"lookup.on must be the key of weather \(zone\), got city"),
        (lambda: lookup(max_age="0h"), "lookup.max_age must be longer than nothing"),
        (lambda: define(lookups=(lookup(as_of="distance"),)), "lookup.as_of must be Datetime"),
        (lambda: define(lookups=(lookup(columns=("wind",)),)), "lookup.columns must be columns of weather .* got wind"),
        (
            lambda: define(lookups=(lookup(weather(contract=Distances)),)),
            r"table.time must be Datetime\('us', 'UTC'\), 'observed_at' is Datetime",
        ),
        (
            lambda: define(lookups=(lookup(), lookup(weather(name="storms")))),
            "the lookup in storms brings 'temp', which weather has as well",
        ),
        (lambda: define(lookups=(lookup(weather(contract=object())),)), "table weather: contract must be a"),
        (lambda: source(on_repeat="newest"), "source.on_repeat must be one of first, last, refuse, got 'newest'"),
    ],
)
def test_what_does_not_fit_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def source(**changes: Any) -> Source:
    return Source(**{"path": SOURCE.path, "time": SOURCE.time, "key": SOURCE.key, **changes})
