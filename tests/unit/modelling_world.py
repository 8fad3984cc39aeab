"""A small pipeline of rides and generated rows for it: the world of the modelling tests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from andon.catalogue import load
from andon.pipeline import Pipeline
from modelling.jobs import Plan
from modelling.recipes import SPACE, Recipe
from modelling.spec import Search

DEFINITION = """
from typing import Annotated

import pandera.polars as pa
import polars as pl

from andon import Labels, Pipeline, Source


class Rides(pa.DataFrameModel):
    ride: int
    at: Annotated[pl.Datetime, "us", "UTC"]
    stop: str = pa.Field(nullable=True)
    day: pl.Date
    wind: float = pa.Field(nullable=True)


def features(rides: pl.LazyFrame) -> pl.LazyFrame:
    return rides.select(
        "ride", "stop", "wind", hour=pl.col("at").dt.hour(), weekend=pl.col("day").dt.weekday() > 5
    )


PIPELINE = Pipeline(
    name="rides",
    source=Source(path="landing/rides/*.parquet", time="at", key="ride"),
    labels=Labels(path="landing/late/*.parquet", target="late"),
    contract=Rides,
    features=features,
    task="TASK",
)
"""
START = datetime(2024, 1, 1, tzinfo=UTC)
FAST = Recipe(params=dict(zip(SPACE, (0.3, 15, 20, 1.0, 1.0, 1.0), strict=True)), rounds=15)


def pipeline_in(folder: Path, *, task: str = "binary") -> Pipeline:
    path = folder / "rides.py"
    path.write_text(DEFINITION.replace("TASK", task))
    return load(path)


def plan_in(folder: Path, *, window: timedelta, when: Literal["never", "if needed", "always"]) -> Plan:
    """How a first challenger of rides is made, with labels a day late and a search of two trials."""
    return Plan(
        spec=pipeline_in(folder).spec,
        start=FAST,
        champion=None,
        gap=timedelta(days=1),
        window=window,
        min_gain=0.01,
        search=Search(budget_seconds=60, budget_trials=2, rounds=10, threads=1),
        when=when,
    )


def rides(rows: int = 2_000, *, seed: int = 1) -> pl.DataFrame:
    """One ride each half hour, with its label and a column that no contract knows."""
    random = np.random.default_rng(seed)
    wind = random.normal(10, 3, rows)
    stop = random.choice(["north", "south", "west"], rows)
    score = 0.5 * (wind - 10) + (stop == "north") * 1.5 - 1
    at = [START + timedelta(minutes=30) * row for row in range(rows)]
    return pl.DataFrame(
        {
            "ride": range(rows),
            "at": pl.Series(at, dtype=pl.Datetime("us", "UTC")),
            "stop": stop,
            "day": [moment.date() for moment in at],
            "wind": wind,
            "late": random.random(rows) < 1 / (1 + np.exp(-score)),
            "known_at": pl.Series(at, dtype=pl.Datetime("us", "UTC")),
        }
    )
