"""A world for scorers: a home with a pipeline of trips, bundles of its models, and champions in its ledger."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl

from andon.catalogue import load as load_pipeline
from modelling import bundle, training
from modelling.model import Model
from modelling.recipes import SPACE, Recipe
from registry.ledger import Change, Ledger
from registry.sql import open_ledger

NAME = "trips"
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
RECIPE = Recipe(params=dict(zip(SPACE, (0.1, 15, 20, 1.0, 1.0, 1.0), strict=True)), rounds=30)
CARRIERS = ("AA", "UA", "WN")
_DEFINITION = """
from typing import Annotated
import pandera.polars as pa
import polars as pl
from andon import Labels, Pipeline, Source

class Trips(pa.DataFrameModel):
    trip_id: str
    at: Annotated[pl.Datetime, "us", "UTC"]
    distance: float = pa.Field(nullable=True)
    carrier: str = pa.Field(nullable=True)

def features(trips: pl.LazyFrame) -> pl.LazyFrame:
    return trips.with_columns({made})

PIPELINE = Pipeline(
    name="trips",
    source=Source(path="landing/trips/*.parquet", time="at", key="trip_id"),
    labels=Labels(path="landing/labels/*.parquet", target="late"),
    contract=Trips,
    features=features,
    task="binary",
)
"""


def definition(made: str = 'hour=pl.col("at").dt.hour()') -> str:
    """The pipeline's file; `made`: its features beside the raw columns."""
    return _DEFINITION.format(made=made)


def trips(rows: int, seed: int = 0, *, minutes: int = 1, carriers: Sequence[str] = CARRIERS) -> pl.DataFrame:
    """Some rows, so many minutes apart, with gaps."""
    chance = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "trip_id": [f"{seed}-{row}" for row in range(rows)],
            "at": [NOON + timedelta(minutes=minutes * row) for row in range(rows)],
            "distance": [None if row % 10 == 0 else float(x) for row, x in enumerate(chance.uniform(1, 100, rows))],
            "carrier": chance.choice(carriers, rows),
        },
        schema={"trip_id": pl.String, "at": pl.Datetime("us", "UTC"), "distance": pl.Float64, "carrier": pl.String},
    )


def body(frame: pl.DataFrame, form: str = "dataframe_split") -> dict[str, Any]:
    """A request."""
    plain = frame.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
    if form == "dataframe_records":
        return {form: plain.to_dicts()}
    return {form: {"columns": plain.columns, "data": [list(row) for row in plain.iter_rows()]}}


def labelled(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    """The rows as the model of this number learns them: each number has a truth of its own."""
    return rows.with_columns(late=(pl.col("distance").fill_null(0) * number % 7 > 3))


def train(file: Path, learned: pl.DataFrame, *, bundles: Path, seed: int) -> tuple[str, Model]:
    """A model of the definition in `file`, and the digest under which its bundle lies in the folder `bundles`."""
    model = training.fit(load_pipeline(file).spec, learned, RECIPE, seed=seed, threads=1)
    made = bundles / "made"
    sha256 = bundle.write(
        made, model=model, pipeline=NAME, definition=file.read_text(), definition_hash="", snapshot="", rows=learned,
        profile_json="{}",
    )  # fmt: skip
    made.rename(bundles / sha256)
    return sha256, model


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An installation. `env`: of its scorer; `digests`: of the bundles that are versions "1", "2", ..."""

    home: Path
    env: dict[str, str]
    digests: Sequence[str]

    @property
    def ledger(self) -> Ledger:
        """It comes into being when it is asked for first."""
        return open_ledger(f"sqlite:///{self.home / 'ledger.db'}")

    def crown(self, version: int, sha256: str = "") -> None:
        """Make the version the champion."""
        ledger = self.ledger
        champion = ledger.champion(NAME)
        change = Change(
            pipeline=NAME, kind="promotion", version=str(version), bundle_sha256=sha256 or self.digests[version - 1],
            trained_until=NOON, why="test", data_time=NOON, actor="test",
        )  # fmt: skip
        ledger.crown(change, expected_epoch=champion.epoch if champion else 0)

    def bundle(self, version: int) -> bundle.Bundle:
        return bundle.load(self.home / "bundles" / NAME / self.digests[version - 1])


@contextmanager
def scorer(world: World, *arguments: str, **env: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A scorer that has said where it listens; killed at the end."""
    command = [sys.executable, "-m", "serving.scorer", "--port", "0", *arguments]
    process = subprocess.Popen(command, env={**world.env, **env}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("scorer: http://127.0.0.1:"), line
        with httpx.Client(base_url=line.removeprefix("scorer: ").strip(), trust_env=False, timeout=30) as client:
            yield client, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
