"""What point-in-time lookups cost: `look_up` beside Polars' own `join_asof`, which knows nothing of late arrivals.

`late`: every observation comes in a batch after the rows that ask for it, so that each row must be kept from seeing the
newest; the others are as usual. All found values are compared: without late ones both must find the same.

python -m benchmarks.lookup [SHARE]: SHARE of the large case's 10M rows (default 1.0). Prints JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import numpy as np
import pandera.polars as pa
import polars as pl

from andon import Lookup, Table
from storage.lookup import look_up

_DAY = 86_400_000_000  # microseconds
_START = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp() * 1e6)
_END = datetime(2030, 1, 1, tzinfo=UTC)
_MOMENT = pl.Datetime("us", "UTC")
_VALUES = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
_BEFORE, _DELAY, _MAX_AGE = timedelta(hours=3), timedelta(hours=1), timedelta(days=7)


class Weather(pa.DataFrameModel):
    """Observations; only the names and types count here."""

    station: str
    observed_at: Annotated[pl.Datetime, "us", "UTC"]
    temp: float
    dewp: float
    humid: float
    wind_dir: float
    wind_speed: float
    precip: float
    pressure: float
    visib: float


_TABLE = Table(name="weather", path="-", contract=Weather, key="station", time="observed_at", delay=_DELAY)
_LOOKUP = Lookup(table=_TABLE, on="station", as_of="at", before=_BEFORE, max_age=_MAX_AGE)


def main(share: float) -> None:
    """Measure the two sizes, in their usual order and with all observations late."""
    found: dict[str, Any] = {}
    for name, rows, observations, stations, batch in (
        ("year", 337_000, 26_000, 3, 7 * _DAY),
        ("large", int(10_000_000 * share), int(1_000_000 * share), 100, _DAY),
    ):
        asked = _asked(rows, stations, batch)
        for order, late in (("", 0), ("_late", batch)):
            weather = _weather(observations, stations, batch, late=late)
            seconds, told = _timed(lambda asked=asked, weather=weather: _ours(asked, weather))  # type: ignore[misc]
            found[f"{name}{order}_s"] = round(seconds, 2)
            if not late:
                seconds, plain = _timed(lambda asked=asked, weather=weather: _plain(asked, weather))  # type: ignore[misc]
                found[f"{name}_join_asof_s"] = round(seconds, 2)
                found[f"{name}_same"] = told.select("id", *_VALUES).equals(plain.select("id", *_VALUES))
    print(json.dumps({"rows": int(10_000_000 * share), "threads": pl.thread_pool_size(), **found}))


def _ours(asked: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    return look_up(asked.lazy(), weather.lazy(), _LOOKUP, as_known_at=_END).collect(engine="streaming")


def _plain(asked: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    rows = asked.lazy().with_row_index("_row").with_columns(moment=pl.col("at") - _BEFORE).sort("moment")
    known = weather.lazy().with_columns(known_at=pl.col("observed_at") + _DELAY).sort("known_at")
    joined = rows.join_asof(
        known.select("station", "known_at", *_VALUES),
        left_on="moment",
        right_on="known_at",
        by="station",
        tolerance=_MAX_AGE - _DELAY,
        check_sortedness=False,
    )
    return joined.sort("_row").collect(engine="streaming")


def _asked(rows: int, stations: int, batch: int) -> pl.DataFrame:
    """A year of rows in no order of time, with six columns besides; a batch comes when its time is over."""
    chance = np.random.default_rng(1)
    at = chance.integers(0, 365 * _DAY, rows)
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "station": chance.integers(0, stations, rows),
            "at": at + _START,
            "_known_at": (at // batch + 1) * batch + _START,
            **{f"column{number}": chance.normal(size=rows) for number in range(6)},
        }
    ).with_columns(pl.col("station").cast(pl.String), pl.col("at", "_known_at").cast(_MOMENT))


def _weather(observations: int, stations: int, batch: int, *, late: int) -> pl.DataFrame:
    """A year of observations, each at a moment of its own, so that there is one answer."""
    chance = np.random.default_rng(2)
    at = np.unique(chance.integers(0, 365 * _DAY, observations))
    return pl.DataFrame(
        {
            "station": chance.integers(0, stations, len(at)),
            "observed_at": at + _START,
            "_batch": at // batch,
            "_known_at": (at // batch + 1) * batch + _START + late,
            **{name: chance.normal(size=len(at)) for name in _VALUES},
        }
    ).with_columns(pl.col("station").cast(pl.String), pl.col("observed_at", "_known_at").cast(_MOMENT))


def _timed(measured: Callable[[], pl.DataFrame]) -> tuple[float, pl.DataFrame]:
    began = time.perf_counter()
    result = measured()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
