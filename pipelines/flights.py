"""Will a flight from New York arrive more than 15 minutes late? Asked three hours before its scheduled departure."""

from typing import Annotated

import pandera.polars as pa
import polars as pl

from andon import Delivery, Gate, Governor, Labels, Lookup, Monitor, Pipeline, Retrain, Search, Source, Table

NEW_YORK = "America/New_York"
MILES_PER_MINUTE = 8  # of an airliner at cruising speed
ORIGINS = ["EWR", "JFK", "LGA"]
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
ENGINES = ["4 Cycle", "Reciprocating", "Turbo-fan", "Turbo-jet", "Turbo-prop", "Turbo-shaft"]


class Flights(pa.DataFrameModel):
    """A scheduled departure, as the timetable knows it."""

    flight_id: str = pa.Field(unique=True)
    scheduled_at: Annotated[pl.Datetime, "us", "UTC"]
    carrier: str = pa.Field(isin=CARRIERS)
    flight: int = pa.Field(ge=1, le=9_999)
    tailnum: str = pa.Field(nullable=True, str_matches=r"^[A-Z][0-9A-Z]{4,5}$")
    origin: str = pa.Field(isin=ORIGINS)
    dest: str = pa.Field(str_matches=r"^[A-Z]{3}$")
    distance: int = pa.Field(gt=0, le=6_000)  # miles
    hour: int = pa.Field(ge=0, le=23)  # of the scheduled departure, local
    minute: int = pa.Field(ge=0, le=59)
    block_minutes: int = pa.Field(ge=20, le=900)  # scheduled, from gate to gate
    plane_year: int = pa.Field(nullable=True, ge=1_930, le=2_030)
    seats: int = pa.Field(nullable=True, ge=1, le=900)
    engine: str = pa.Field(nullable=True, isin=ENGINES)

    @pa.dataframe_check
    @classmethod
    def goes_somewhere(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """Origin and destination differ."""
        return data.lazyframe.select(pl.col("origin") != pl.col("dest"))

    @pa.dataframe_check
    @classmethod
    def clocks_agree(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """The moment in UTC is the local hour and minute, summer time or not."""
        local = pl.col("scheduled_at").dt.convert_time_zone(NEW_YORK)
        return data.lazyframe.select((local.dt.hour() == pl.col("hour")) & (local.dt.minute() == pl.col("minute")))

    @pa.dataframe_check
    @classmethod
    def is_a_week_of_flights(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """A file with fewer rows is a fragment of an upload."""
        return data.lazyframe.select(pl.len() >= 500)


class Weather(pa.DataFrameModel):
    """An hour's observation at an airport, named by the hour's beginning."""

    origin: str = pa.Field(isin=ORIGINS)
    observed_at: Annotated[pl.Datetime, "us", "UTC"]
    temp: float = pa.Field(nullable=True, in_range={"min_value": -40, "max_value": 130})  # degrees Fahrenheit
    dewp: float = pa.Field(nullable=True, in_range={"min_value": -60, "max_value": 100})
    humid: float = pa.Field(nullable=True, in_range={"min_value": 0, "max_value": 100})
    wind_dir: float = pa.Field(nullable=True, in_range={"min_value": 0, "max_value": 360})
    wind_speed: float = pa.Field(nullable=True, in_range={"min_value": 0, "max_value": 150})  # miles per hour
    precip: float = pa.Field(nullable=True, in_range={"min_value": 0, "max_value": 10})  # inches
    pressure: float = pa.Field(nullable=True, in_range={"min_value": 900, "max_value": 1_080})  # millibars
    visib: float = pa.Field(nullable=True, in_range={"min_value": 0, "max_value": 20})  # miles

    @pa.dataframe_check
    @classmethod
    def dew_point_below_temperature(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """Air cannot be drier than dry; two degrees are left to the sensors."""
        return data.lazyframe.select((pl.col("dewp") <= pl.col("temp") + 2).fill_null(value=True))


# An observation is made in the course of its hour (mostly at :51), so it is known when that is over. One that was known
# for more than six hours says nothing any more.
WEATHER = Table(
    name="weather",
    path="landing/weather/*.parquet",
    contract=Weather,
    key="origin",
    time="observed_at",
    delay="1h",
)


def features(flights: pl.LazyFrame) -> pl.LazyFrame:
    """The model's inputs, row by row. No month: what a season brings is seen in the weather."""
    local = pl.col("scheduled_at").dt.convert_time_zone(NEW_YORK)
    return flights.select(
        "flight_id", "scheduled_at", "carrier", "origin", "dest", "block_minutes",
        "temp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib",
        clock=pl.col("hour") + pl.col("minute") / 60,  # delays pile up in the course of the day
        weekday=local.dt.weekday(),
        slack_minutes=pl.col("block_minutes") - pl.col("distance") / MILES_PER_MINUTE,
    )  # fmt: skip


PIPELINE = Pipeline(
    name="flights",
    source=Source(path="landing/flights/*.parquet", time="scheduled_at", key="flight_id", max_age="14d"),
    labels=Labels(path="landing/flight_arrivals/*.parquet", target="late", matures_after="1d"),
    contract=Flights,
    lookups=(Lookup(table=WEATHER, on="origin", as_of="scheduled_at", before="3h", max_age="7h"),),
    features=features,
    task="binary",
    monitor=Monitor(every="1d", reference_windows=60),
    retrain=Retrain(train="all", holdout="7d"),
    search=Search(budget_seconds=5),
    gate=Gate(min_gain=0.001, alpha=0.2, slices=("carrier", "origin")),
    governor=Governor(cooldown="3d", max_per_month=8),
    delivery=Delivery(files="scores/flights", table="flight_scores"),
)
