"""The replayed year: nothing is known before its time, no flight is lost or doubled, and damage loses no week."""

import hashlib
import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from demo.damage import Arrival, Damage, arrivals, observed, plan
from demo.data import prepare_flights
from demo.weeks import Reference, Replay, Week, asked, write_weeks
from pipelines.flights import PIPELINE, Flights, Weather
from storage.lookup import look_up

# All flights with their weather as CSV, hashed when the demo still joined the weather itself (commit 37e1313).
YEAR = "9f9bc91c7cc632e4daf0760d6781b9cbc42d2f3dfb2041ee3f3dd514ad0411ae"


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return prepare_flights(tmp_path_factory.mktemp("landing"))


@pytest.fixture(scope="module")
def flights(year: Replay) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(week.batch) for week in year.weeks])


@pytest.fixture(scope="module")
def told(year: Replay) -> pl.DataFrame:
    """All flights with their weather, as the scorer is asked week by week."""
    return pl.concat([asked(year, number, PIPELINE.lookups) for number in range(len(year.weeks))])


def labels_of(week: Week) -> pl.DataFrame:
    assert week.labels is not None
    return pl.read_parquet(week.labels)


def test_the_year_has_each_departure_once_in_the_week_of_its_moment(year: Replay, flights: pl.DataFrame) -> None:
    assert (flights.height, flights["flight_id"].n_unique(), len(year.weeks)) == (336_776, 336_776, 53)
    assert [year.weeks[n].label for n in (0, 1, 51, 52)] == ["2013-W01", "2013-W02", "2013-W52", "2014-W01"]
    assert year.ends_at == datetime(2014, 1, 6, tzinfo=UTC)
    for week in year.weeks:
        moments = pl.read_parquet(week.batch)["scheduled_at"]
        assert moments.is_between(week.starts_at, week.starts_at + timedelta(days=7), closed="left").all()


def test_every_label_lands_once_and_only_after_it_was_known(year: Replay, flights: pl.DataFrame) -> None:
    assert year.weeks[0].labels is None
    for before, week in pairwise(year.weeks):
        assert labels_of(week)["known_at"].is_between(before.starts_at, week.starts_at, closed="left").all()
    labels = pl.concat([*(labels_of(week) for week in year.weeks[1:]), pl.read_parquet(year.closing_labels)])
    joined = labels.join(flights, on="flight_id", how="left", validate="1:1")
    assert (labels.height, flights.height - labels.height) == (327_346, 9_430)
    assert (joined["known_at"] > joined["scheduled_at"] - timedelta(hours=1)).all()


def test_a_known_flight_is_as_the_sources_say(told: pl.DataFrame) -> None:
    """UA 1545 of 1 January: 05:15 in New York to 08:19 in Houston, an hour behind; asked at 02:15, when the newest
    observation that is complete is that of 01:00."""
    row = told.row(by_predicate=pl.col("flight_id") == "2013-01-01-UA-1545-EWR", named=True)
    assert row["scheduled_at"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert (row["block_minutes"], row["plane_year"], row["seats"]) == (244, 1999, 149)
    assert (row["temp"], row["dewp"], row["wind_dir"]) == (39.02, 26.06, 270.0)


def test_weather_is_unknown_rather_than_stale_or_impossible(told: pl.DataFrame) -> None:
    last_day = told.filter(pl.col("scheduled_at") > datetime(2013, 12, 31, 9, 0, tzinfo=UTC))
    assert last_day["temp"].null_count() == last_day.height > 700
    assert told.select(pl.col("wind_speed").max()).item() < 50


def test_the_weather_of_the_year_is_what_it_was_before_it_was_looked_up(told: pl.DataFrame) -> None:
    assert (told.columns, told.height) == (list(PIPELINE.raw_schema), 336_776)
    assert hashlib.sha256(told.write_csv().encode()).hexdigest() == YEAR


def taken_in(files: list[tuple[Week, Path]]) -> pl.LazyFrame:
    """The files' rows as ingest leaves them, each file a batch that came in its week."""
    return pl.concat(
        pl.scan_parquet(file).with_columns(
            pl.lit(number).alias("_batch"), pl.lit(week.starts_at, pl.Datetime("us", "UTC")).alias("_known_at")
        )
        for number, (week, file) in enumerate(files)
    )


def test_taken_in_week_by_week_or_asked_week_by_week_flights_are_told_the_same(
    year: Replay, told: pl.DataFrame
) -> None:
    """As training sees it in the end: each week's flights and observations came in together."""
    flights = taken_in([(week, week.batch) for week in year.weeks])
    weather = taken_in([(week, week.tables["weather"]) for week in year.weeks])
    (lookup,) = PIPELINE.lookups
    trained = look_up(flights, weather, lookup, as_known_at=year.ends_at).collect()
    assert trained.select(told.columns).equals(told)


def test_each_observation_lands_once_in_the_week_in_which_its_hour_was_over(year: Replay) -> None:
    observations = [pl.read_parquet(week.tables["weather"]) for week in year.weeks]
    whole = pl.concat(observations)
    assert (whole.height, whole.select("origin", "observed_at").n_unique()) == (26_115, 26_115)
    for week, part in zip(year.weeks, observations, strict=True):
        known_at = part["observed_at"] + timedelta(hours=1)
        assert known_at.is_between(week.starts_at, week.starts_at + timedelta(days=7), closed="left").all()


@pytest.mark.parametrize("number", [0, 10, 44, 52])  # the first, both changes of summer time, the last
def test_real_weeks_keep_the_contracts(year: Replay, number: int) -> None:
    batch = pl.read_parquet(year.weeks[number].batch)
    assert Flights.validate(batch, lazy=True).height == batch.height
    weather = pl.read_parquet(year.weeks[number].tables["weather"])
    assert Weather.validate(weather, lazy=True).height == weather.height


def test_weeks_are_cut_at_monday_and_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    monday = datetime(2013, 1, 7, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    at = [monday + timedelta(days=7), monday - tick, monday]
    rows = pl.DataFrame({"key": ["c", "a", "b"], "at": at})
    labels = pl.DataFrame({"key": ["a", "b", "c"], "known_at": [monday - tick, monday, monday + timedelta(days=8)]})
    seen = pl.DataFrame({"seen": [monday - timedelta(days=30), monday - tick, monday, monday + timedelta(days=7)]})
    digests = []
    for _ in range(2):
        replay = write_weeks(
            rows,
            labels,
            key="key",
            time="at",
            batches=tmp_path / "rows",
            arrivals=tmp_path / "labels",
            tables={"sky": Reference(rows=seen, known_at=pl.col("seen") + tick, folder=tmp_path / "sky")},
        )
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        digests.append([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])
    assert digests[0] == digests[1]
    assert [pl.read_parquet(week.batch)["key"].to_list() for week in replay.weeks] == [["a"], ["b"], ["c"]]
    assert [labels_of(week)["key"].to_list() for week in replay.weeks[1:]] == [["a"], ["b"]]
    assert pl.read_parquet(replay.closing_labels)["key"].to_list() == ["c"]
    landed = [pl.read_parquet(week.tables["sky"])["seen"].to_list() for week in replay.weeks]
    assert landed == [seen["seen"].to_list()[:1], seen["seen"].to_list()[1:3], seen["seen"].to_list()[3:]]


WEEKS = [f"2013-W{number:02}" for number in range(1, 41)]


@pytest.mark.parametrize("count", [5, 6, 13, 40])
def test_each_kind_of_damage_happens_at_least_once_and_is_spread(count: int) -> None:
    planned = plan(WEEKS[:count], seed=7)
    assert set(planned.values()) == set(Damage)
    assert len(planned) == max(5, count // 5)
    at = [position for position, week in enumerate(WEEKS[:count]) if week in planned]
    assert max(later - earlier for earlier, later in pairwise([-1, *at, count])) < 2 * -(-count // len(planned))


def test_the_plan_follows_its_seed_and_fits_short_runs() -> None:
    assert plan(WEEKS, seed=1) == plan(WEEKS, seed=1) != plan(WEEKS, seed=2)
    assert plan([], seed=1) == {}
    assert len(plan(WEEKS[:2], seed=1)) == 2


def test_out_of_range_rows_come_on_top_of_the_good_ones(year: Replay) -> None:
    data = year.weeks[5].batch.read_bytes()
    good = pl.read_parquet(io.BytesIO(data))
    (arrival,) = arrivals("w.parquet", data, Damage.OUT_OF_RANGE, seed=7)
    damaged = pl.read_parquet(io.BytesIO(arrival.data))
    bad = damaged[good.height :]
    assert damaged[: good.height].equals(good)
    assert 0.02 < bad.height / damaged.height < 0.04
    assert damaged["flight_id"].is_unique().all()
    long = pl.col("block_minutes") > 2 * 24 * 60
    broken = (pl.col("distance") <= 0) | long | (pl.col("carrier") == "??") | (pl.col("hour") > 23)
    assert bad.filter(broken).height == bad.height


def test_broken_weather_lacks_some_hours_and_no_flight(year: Replay) -> None:
    data = year.weeks[5].tables["weather"].read_bytes()
    good, damaged = (pl.read_parquet(io.BytesIO(observed(data, what, seed=7))) for what in (None, Damage.WEATHER))
    hit = damaged["humid"] == 140.0
    assert good.equals(pl.read_parquet(io.BytesIO(data)))
    assert 0.02 < hit.mean() < 0.04  # type: ignore[operator]
    assert damaged.filter(~hit).equals(good.filter(~hit))
    assert arrivals("w.parquet", data, Damage.WEATHER, seed=7) == (Arrival(name="w.parquet", data=data),)


def test_a_broken_file_comes_beside_the_good_one_and_is_taken_after_it(year: Replay) -> None:
    data = year.weeks[5].batch.read_bytes()
    good = Arrival(name="w.parquet", data=data)
    assert arrivals("w.parquet", data, None, seed=7) == (good,)
    assert arrivals("w.parquet", data, Damage.DUPLICATE, seed=7) == (good, Arrival(name="w_again.parquet", data=data))
    first, cut = arrivals("w.parquet", data, Damage.TRUNCATED, seed=7)
    assert (first, cut.name, data.startswith(cut.data)) == (good, "w_upload.parquet", True)
    with pytest.raises(pl.exceptions.ComputeError):
        pl.read_parquet(io.BytesIO(cut.data))
    first, text = arrivals("w.parquet", data, Damage.WRONG_TYPES, seed=7)
    assert (first, text.name) == (good, "w_export.parquet")
    assert pl.read_parquet(io.BytesIO(text.data)).schema["distance"] == pl.String
    assert good.name < min("w_again.parquet", cut.name, text.name)
