"""How many bikes are rented in an hour? Washington D.C., hourly, with the hour's weather and calendar."""

from typing import Annotated

import pandera.polars as pa
import polars as pl

from andon import Delivery, Gate, Labels, Monitor, Pipeline, Retrain, Search, Source


class Bikes(pa.DataFrameModel):
    """An hour to come. `ts` is the local clock, kept as if it were UTC. Temperatures, humidity, wind are normalised."""

    ts: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(unique=True)
    hour: int = pa.Field(ge=0, le=23)
    season: int = pa.Field(isin=[1, 2, 3, 4])
    holiday: int = pa.Field(isin=[0, 1])
    weekday: int = pa.Field(ge=0, le=6)  # 0 is Sunday
    workingday: int = pa.Field(isin=[0, 1])
    weathersit: int = pa.Field(isin=[1, 2, 3, 4])  # from clear to storm
    temp: float = pa.Field(in_range={"min_value": 0, "max_value": 1})
    feelingTemp: float = pa.Field(in_range={"min_value": 0, "max_value": 1})  # noqa: N815  # the column's name
    humidity: float = pa.Field(in_range={"min_value": 0, "max_value": 1})
    windspeed: float = pa.Field(in_range={"min_value": 0, "max_value": 1})

    @pa.dataframe_check
    @classmethod
    def clock_and_calendar_agree(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """Hour and weekday are those of the moment."""
        ts = pl.col("ts").dt
        return data.lazyframe.select((ts.hour() == pl.col("hour")) & (ts.weekday() % 7 == pl.col("weekday")))

    @pa.dataframe_check
    @classmethod
    def holidays_are_free(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """Nobody works on holidays, Saturdays and Sundays."""
        free = (pl.col("holiday") == 1) | pl.col("weekday").is_in([0, 6])
        return data.lazyframe.select(free != (pl.col("workingday") == 1))


def features(hours: pl.LazyFrame) -> pl.LazyFrame:
    """The model's inputs, row by row."""
    return hours.select(
        "ts", "hour", "season", "weekday", "workingday", "holiday", "weathersit",
        "temp", "feelingTemp", "humidity", "windspeed",
        # What makes commuters' and leisure hours differ.
        kind_of_hour=pl.col("hour") + 24 * pl.col("workingday"),
        discomfort=(pl.col("temp") - pl.col("feelingTemp")).abs() + pl.col("windspeed"),
    )  # fmt: skip


PIPELINE = Pipeline(
    name="bikes",
    source=Source(path="landing/bikes/*.parquet", time="ts", key="ts", max_age="14d"),
    labels=Labels(path="landing/bike_rentals/*.parquet", target="rentals", matures_after="1h"),
    contract=Bikes,
    features=features,
    task="regression",
    metric="l2",
    monitor=Monitor(every="1d", reference_windows=60, evidence="14d"),
    retrain=Retrain(train="all", holdout="14d"),
    search=Search(budget_seconds=5),
    gate=Gate(min_gain=0.005, alpha=0.2, slices=("workingday",)),
    delivery=Delivery(files="scores/bikes", table="bike_scores"),
)
