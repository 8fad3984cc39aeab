"""A small, whole pipeline definition for tests; `define(**changes)` changes parts of it."""

from typing import Annotated, Any

import pandera.polars as pa
import polars as pl

from andon import Labels, Pipeline, Source


class Trips(pa.DataFrameModel):
    trip_id: str = pa.Field(unique=True)
    started_at: Annotated[pl.Datetime, "us", "UTC"]
    distance: float = pa.Field(ge=0)
    zone: str


def features(trips: pl.LazyFrame) -> pl.LazyFrame:
    return trips.with_columns(hour=pl.col("started_at").dt.hour())


SOURCE = Source(path="landing/trips/*.parquet", time="started_at", key="trip_id")
LABELS = Labels(path="landing/trip_ends/*.parquet", target="late")


def define(**changes: Any) -> Pipeline:
    whole: dict[str, Any] = {
        "name": "trips",
        "source": SOURCE,
        "labels": LABELS,
        "contract": Trips,
        "features": features,
        "task": "binary",
    }
    return Pipeline(**{**whole, **changes})
