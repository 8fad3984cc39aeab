"""The flights' contract and features: each rule catches what it names, and nothing that is known later gets in."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from pandera.errors import SchemaErrors

from pipelines.flights import PIPELINE, Flights, features

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
    "temp": 39.02,
    "dewp": 26.06,
    "humid": 59.37,
    "wind_dir": 270.0,
    "wind_speed": 10.36,
    "precip": 0.0,
    "pressure": 1012.0,
    "visib": 10.0,
}
UNMATCHED = dict.fromkeys(
    ("tailnum", "plane_year", "seats", "engine", "temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure")
)


def week(*rows: dict[str, Any], size: int = 500) -> pl.DataFrame:
    """A week of good flights that begins with `rows`, each a change of the good one."""
    flights = [GOOD | {"flight_id": f"id-{n}"} | row for n, row in enumerate((*rows, *({},) * (size - len(rows))))]
    return pl.DataFrame(flights, schema=PIPELINE.raw_schema)


def broken(flights: pl.DataFrame) -> list[str]:
    with pytest.raises(SchemaErrors) as caught:
        Flights.validate(flights, lazy=True)
    return sorted(caught.value.failure_cases["check"].unique())


def test_good_flights_pass_with_and_without_a_known_plane_and_weather() -> None:
    flights = week({}, UNMATCHED)
    assert Flights.validate(flights, lazy=True).equals(flights)


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
        ({"humid": 140.0}, "in_range"),
        ({"wind_speed": 1048.36}, "in_range"),
        ({"dewp": 41.1}, "dew_point_below_temperature"),
        ({"hour": 10}, "clocks_agree"),
        ({"minute": 16}, "clocks_agree"),
        ({"engine": "Warp"}, "isin"),
    ],
)
def test_each_rule_catches_what_it_names(change: dict[str, Any], rule: str) -> None:
    assert any(rule in check for check in broken(week(change)))


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
    made = features(week({}, night, size=2).lazy()).collect()
    assert made.select("flight_id", "clock", "weekday", "slack_minutes").rows() == [
        ("id-0", 5.25, 2, 69.0),
        ("id-1", 22.75, 7, 69.0),
    ]
    assert list(PIPELINE.inputs) == [name for name in made.columns if name not in ("flight_id", "scheduled_at")]
    assert not {"dep_time", "dep_delay", "arr_time", "air_time", "arr_delay", "late", "known_at"} & set(made.columns)


def test_one_row_gives_the_same_features_as_in_its_week() -> None:
    flights = week({}, UNMATCHED, {"carrier": "B6"}, size=3)
    together = features(flights.lazy()).collect()
    alone = pl.concat([features(flights[n : n + 1].lazy()).collect() for n in range(3)])
    assert alone.equals(together)
