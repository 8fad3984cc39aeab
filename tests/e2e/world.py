"""A small world: parcels and how long they take. Each fortnight brings a new tariff that nobody has learned yet, so a
champion goes stale at once, retraining provably pays, and a lap of the loop takes seconds.

Lap 0 is the history of the first champion. In lap k the labels of lap k - 1 land, and the rows of lap k, which are to
be scored before their labels are known; so the retrain that lap k - 1 calls for is asked for in lap k.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from andon.processes import PROJECT

T = TypeVar("T")
NAME = "parcels"
START = datetime(2024, 1, 1, tzinfo=UTC)
HISTORY, LAP = timedelta(days=40), timedelta(days=12)
ROWS_A_DAY = 40
BAD, REPEATED = 3, 2  # rows of each lap that break the contract, and that came with the lap before already

DEFINITION = '''
"""How many minutes does a parcel take?"""

from typing import Annotated

import pandera.polars as pa
import polars as pl

from andon import Delivery, Drift, Gate, Governor, Labels, Monitor, Pipeline, Retrain, Rollout, Search, Source


class Parcels(pa.DataFrameModel):
    parcel_id: int = pa.Field(unique=True)
    sent_at: Annotated[pl.Datetime, "us", "UTC"]
    weight: float = pa.Field(gt=0, le=30)
    distance: float = pa.Field(ge=0)
    carrier: str = pa.Field(isin=["bike", "van", "train"])
    tariff: int = pa.Field(ge=0)


def features(parcels: pl.LazyFrame) -> pl.LazyFrame:
    return parcels.with_columns(hour=pl.col("sent_at").dt.hour())


PIPELINE = Pipeline(
    name="parcels",
    source=Source(path="landing/parcels/*.parquet", time="sent_at", key="parcel_id"),
    labels=Labels(path="landing/arrivals/*.parquet", target="minutes", matures_after="1h"),
    contract=Parcels,
    features=features,
    task="regression",
    metric="l2",
    monitor=Monitor(every="1d", reference_windows=30, evidence="5d"),
    retrain=Retrain(holdout="5d"),
    search=Search(budget_seconds=1, budget_trials=2, rounds=60, threads=1),
    gate=Gate(min_gain=0.01, min_blocks=4, slices=("carrier",), max_latency_ms=1_000),
    drift=Drift(min_windows=20),
    governor=Governor(cooldown="1d", max_per_month=50),
    delivery=Delivery(files="scores/parcels", table="parcel_scores"),
    rollout=Rollout(watch=None),  # its verdicts come at moments of their own: tests/flows/test_rollout_flow.py
)
'''

# Without heartbeats, whose thread costs a second at the end of each flow.
_FLOWS = """
import sys
from datetime import datetime
from importlib import import_module
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
pipeline, as_of, *names = sys.argv[1:]
with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
    for name, _, intent in (item.partition(":") for item in names):
        answers = {"intent": intent} if intent else {}
        getattr(import_module(f"flows.{name}"), name)(pipeline, as_of=datetime.fromisoformat(as_of), **answers)
"""


def build(home: Path) -> Path:
    """Make the home of an installation with this one pipeline; returns it."""
    (home / "pipelines").mkdir(parents=True)
    (home / "pipelines" / f"{NAME}.py").write_text(DEFINITION)
    return home


def begins(lap: int) -> datetime:
    """The first moment of a lap; also the data time at which its files land."""
    return START if lap == 0 else START + HISTORY + (lap - 1) * LAP


def rows(lap: int) -> pl.DataFrame:
    """The parcels of a lap as the contract wants them, with their `minutes`."""
    chance = np.random.default_rng([2024, lap])
    days = (HISTORY if lap == 0 else LAP).days
    count = days * ROWS_A_DAY
    offset = np.sort(chance.integers(0, days * 86_400, count))
    weight, distance = chance.uniform(0.1, 30, count), chance.uniform(0, 500, count)
    carrier = chance.choice(["bike", "van", "train"], count)
    minutes = 200 + _slope(lap) * weight + 0.1 * distance + 20 * (carrier == "van") + chance.normal(0, 5, count)
    return pl.DataFrame(
        {
            "parcel_id": lap * 100_000 + np.arange(count),
            "sent_at": [begins(lap) + timedelta(seconds=int(second)) for second in offset],
            "weight": weight,
            "distance": distance,
            "carrier": carrier,
            "tariff": np.full(count, lap, dtype=np.int64),
            "minutes": minutes,
        }
    )


def _slope(lap: int) -> float:
    """Minutes a kilogram: up and down, and never as in an earlier lap, so that no old champion is of use."""
    return (-1.0) ** lap * (3.0 + 2.5 * lap)


def land_rows(home: Path, lap: int) -> None:
    """The rows of a lap arrive; from lap 1 on some break the contract, and some have come before."""
    arriving = rows(lap).drop("minutes")
    if lap:
        weight = pl.when(pl.int_range(pl.len()) < BAD).then(-1.0).otherwise("weight")
        broken = arriving.with_columns(weight=weight)
        arriving = pl.concat([broken, rows(lap - 1).drop("minutes")[-REPEATED:]])
    put(home, "parcels", f"{lap:03}", arriving)


def land_labels(home: Path, lap: int) -> None:
    """The labels of a lap arrive."""
    known = rows(lap).select("parcel_id", "minutes", known_at=pl.col("sent_at") + timedelta(minutes=30))
    put(home, "arrivals", f"{lap:03}", known)


def put(home: Path, kind: str, name: str, frame: pl.DataFrame) -> None:
    """Let a file land, whole."""
    folder = home / "lake" / "landing" / kind
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / f".{name}.tmp")
    (folder / f".{name}.tmp").rename(folder / f"{name}.parquet")


def flows(env: Mapping[str, str], as_of: datetime, *names: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Call flows one after the other in one new process; "retrain:INTENT" answers an intent. Never raises."""
    return subprocess.run(
        flows_command(as_of, *names),
        env={**env, **more}, cwd=PROJECT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def flows_command(as_of: datetime, *names: str) -> list[str]:
    """What calls the flows one after the other."""
    return [sys.executable, "-c", _FLOWS, NAME, as_of.isoformat(), *names]


def drive(env: Mapping[str, str], as_of: datetime, *names: str) -> None:
    """Call flows, as `flows` does; they must come to their ends."""
    done = flows(env, as_of, *names)
    assert done.returncode == 0, f"{names} failed:\n{done.stderr[-3000:]}"


def andon(env: Mapping[str, str], *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `andon ARGUMENTS`, as an operator does; `more` joins the environment. Never raises."""
    return subprocess.run(
        [sys.executable, "-m", "andon.cli", *arguments],
        env={**env, **more}, cwd=PROJECT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def told(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The verdicts that a command printed with `--json`; code 1 says that a rule has refused something."""
    assert done.returncode in (0, 1), f"{done.args[2:]} ended with {done.returncode}:\n{done.stderr[-3000:]}"
    found = json.loads(done.stdout)
    return found if isinstance(found, list) else [found]


def environment(home: Path, **more: str) -> dict[str, str]:
    """The variables of an installation at `home`, and nobody else's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANDON_", "PREFECT_"))}
    return {**own, "ANDON_HOME": str(home), "ANDON_PIPELINES": str(home / "pipelines"), **more}


def wait_for(what: str, happens: Callable[[], T], *, seconds: float, every: float = 0.05) -> T:
    """What `happens` returns as soon as it is true; AssertionError, saying what was waited for, at the deadline."""
    end = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(every)
    return found


def let_a_minute_pass(home: Path) -> None:
    """For open intents: as if nobody had heard of them for a minute."""
    earlier = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    _change(home / "ledger.db", "update andon_intents set changed_at = ? where state = 'open'", earlier)


def set_back_alias(home: Path) -> None:
    """As if the process had been killed between the ledger's word and MLflow's alias."""
    _change(home / "mlflow.db", "update registered_model_aliases set version = ? where alias = 'champion'", 1)


def _change(database: Path, sql: str, value: object) -> None:
    connection = sqlite3.connect(database, timeout=30)
    with connection:
        connection.execute(sql, (value,))
    connection.close()
