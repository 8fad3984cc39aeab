"""The flights' contract and features: each rule catches what it names, and nothing that is known later gets in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from pandera.errors import SchemaErrors

from andon.schemas import typed_columns
from pipelines.flights import PIPELINE, Flights, Weather, features
from storage.lookup import look_up

GOOD: dict[str, Any] = {
    "flight_id": "2013-01-01-UA-1545-EWR",
    "scheduled_at": datetime(2013, 1, 1, 10, 15, tzinfo=UTC),
    "carrier": "UA",
    "flight": 1545,
    "tailnum": "N14228",
    "origin": "EWR",
    "dest": "IAH",
    "distance": 1400,
    "hour": 5,
    "minute": 15,
    "block_minutes": 244,
    "plane_year": 1999,
    "seats": 149,
    "engine": "Turbo-fan",
}
SKY: dict[str, Any] = {
    "temp": 39.02,
    "dewp": 26.06,
    "humid": 59.37,
    "wind_dir": 270.0,
    "wind_speed": 10.36,
    "precip": 0.0,
    "pressure": 1012.0,
    "visib": 10.0,
}
OBSERVED: dict[str, Any] = {"origin": "EWR", "observed_at": datetime(2013, 1, 1, 6, tzinfo=UTC)} | SKY
UNMATCHED = dict.fromkeys(("tailnum", "plane_year", "seats", "engine"))
UNOBSERVED = dict.fromkeys(SKY)


def week(*rows: dict[str, Any], size: int = 500) -> pl.DataFrame:
    """A week of good flights that begins with `rows`, each a change of the good one."""
    flights = [GOOD | {"flight_id": f"id-{n}"} | row for n, row in enumerate((*rows, *({},) * (size - len(rows))))]
    return pl.DataFrame(flights, schema=PIPELINE.source_schema)


def told(*rows: dict[str, Any]) -> pl.DataFrame:
    """Flights with their weather, each a change of the good one."""
    flights = [GOOD | SKY | {"flight_id": f"id-{n}"} | row for n, row in enumerate(rows)]
    return pl.DataFrame(flights, schema=PIPELINE.raw_schema)


def sky(**change: Any) -> pl.DataFrame:
    """An observation, changed."""
    return pl.DataFrame([OBSERVED | change], schema=typed_columns(Weather, field="weather"))


def broken(frame: pl.DataFrame, contract: type[pa.DataFrameModel] = Flights) -> list[str]:
    with pytest.raises(SchemaErrors) as caught:
        contract.validate(frame, lazy=True)
    return sorted(caught.value.failure_cases["check"].unique())


def test_good_flights_pass_with_and_without_a_known_plane() -> None:
    flights = week({}, UNMATCHED)
    assert Flights.validate(flights, lazy=True).equals(flights)


def test_good_observations_pass_whole_or_empty() -> None:
    for observed in (sky(), sky(**UNOBSERVED)):
        assert Weather.validate(observed, lazy=True).equals(observed)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"flight_id": "id-1"}, "field_uniqueness"),
        ({"carrier": "??"}, "isin"),
        ({"origin": "BOS"}, "isin"),
        ({"dest": "EWR"}, "goes_somewhere"),
        ({"dest": "Iah"}, "str_matches"),
        ({"tailnum": "14228"}, "str_matches"),
        ({"distance": 0}, "greater_than"),
        ({"distance": 6_001}, "less_than_or_equal_to"),
        ({"block_minutes": None}, "not_nullable"),
        ({"hour": 10}, "clocks_agree"),
        ({"minute": 16}, "clocks_agree"),
        ({"engine": "Warp"}, "isin"),
    ],
)
def test_each_rule_catches_what_it_names(change: dict[str, Any], rule: str) -> None:
    assert any(rule in check for check in broken(week(change)))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"origin": "BOS"}, "isin"),
        ({"observed_at": None}, "not_nullable"),
        ({"humid": 140.0}, "in_range"),
        ({"wind_speed": 1048.36}, "in_range"),
        ({"dewp": 41.1}, "dew_point_below_temperature"),
    ],
)
def test_each_rule_of_the_weather_catches_what_it_names(change: dict[str, Any], rule: str) -> None:
    assert any(rule in check for check in broken(sky(**change), Weather))


def test_the_weather_is_asked_for_three_hours_before_and_no_older_than_six_when_it_was_known() -> None:
    (lookup,) = PIPELINE.lookups
    observed = sky().lazy().with_columns(_batch=pl.lit(1), _known_at=pl.col("observed_at"))
    hours = (9.9, 10, 16, 16.1)  # the observation of 6 is known from 7 on
    flights = week(*({"scheduled_at": datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour)} for hour in hours))
    found = look_up(flights.lazy(), observed, lookup, as_known_at=datetime(2014, 1, 1, tzinfo=UTC)).collect()
    assert found["temp"][:4].to_list() == [None, 39.02, 39.02, None]
    assert found.columns == list(PIPELINE.raw_schema)


@pytest.mark.parametrize(
    "at",
    [
        datetime(2013, 3, 10, 6, 15, tzinfo=UTC),  # 01:15 in winter time, an hour before the clocks change
        datetime(2013, 3, 11, 5, 15, tzinfo=UTC),  # 01:15 in summer time
        datetime(2013, 11, 3, 5, 15, tzinfo=UTC),  # the first 01:15 of that night
        datetime(2013, 11, 3, 6, 15, tzinfo=UTC),  # the second
    ],
)
def test_clocks_agree_over_the_changes_of_summer_time(at: datetime) -> None:
    flights = week({"scheduled_at": at, "hour": 1})
    assert Flights.validate(flights, lazy=True).equals(flights)


def test_a_fragment_of_a_week_is_caught() -> None:
    assert broken(week(size=499)) == ["is_a_week_of_flights"]


def test_features_are_computed_row_by_row_from_what_is_known_before_departure() -> None:
    night = {"scheduled_at": datetime(2013, 1, 7, 3, 45, tzinfo=UTC), "hour": 22, "minute": 45}  # Sunday in New York
    made = features(told({}, night).lazy()).collect()
    assert made.select("flight_id", "clock", "weekday", "slack_minutes").rows() == [
        ("id-0", 5.25, 2, 69.0),
        ("id-1", 22.75, 7, 69.0),
    ]
    assert list(PIPELINE.inputs) == [name for name in made.columns if name not in ("flight_id", "scheduled_at")]
    assert not {"dep_time", "dep_delay", "arr_time", "air_time", "arr_delay", "late", "known_at"} & set(made.columns)


def test_one_row_gives_the_same_features_as_in_its_week() -> None:
    flights = told({}, UNMATCHED | UNOBSERVED, {"carrier": "B6"})
    together = features(flights.lazy()).collect()
    alone = pl.concat([features(flights[n : n + 1].lazy()).collect() for n in range(3)])
    assert alone.equals(together)
