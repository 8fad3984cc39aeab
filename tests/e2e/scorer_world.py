"""A home with two versions of a pipeline, each with features of its own; a scorer on it; a client that asks on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl

from andon.catalogue import load as load_pipeline
from andon.processes import PROJECT, free_port
from modelling import bundle, training
from modelling.recipes import SPACE, Recipe
from registry.ledger import Change, Ledger
from registry.sql import open_ledger
from tests.e2e.world import wait_for

NAME = "trips"
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
RECIPE = Recipe(params=dict(zip(SPACE, (0.1, 15, 20, 1.0, 1.0, 1.0), strict=True)), rounds=30)
DEFINITION = """
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
    return trips.with_columns(MADE)

PIPELINE = Pipeline(
    name="trips",
    source=Source(path="landing/trips/*.parquet", time="at", key="trip_id"),
    labels=Labels(path="landing/labels/*.parquet", target="late"),
    contract=Trips,
    features=features,
    task="binary",
)
"""
MADE = ("hour=pl.col('at').dt.hour()", "hour=pl.col('at').dt.minute(), far=pl.col('distance').log1p()")


def trips(rows: int, seed: int = 0) -> pl.DataFrame:
    """Some rows, with gaps and with a carrier that no model knows."""
    chance = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "trip_id": [f"{seed}-{row}" for row in range(rows)],
            "at": [NOON + timedelta(minutes=7 * row) for row in range(rows)],
            "distance": [None if row % 10 == 0 else float(x) for row, x in enumerate(chance.uniform(1, 100, rows))],
            "carrier": chance.choice(["AA", "UA", "WN", "?"] if rows < 200 else ["AA", "UA", "WN"], rows),
        },
        schema={"trip_id": pl.String, "at": pl.Datetime("us", "UTC"), "distance": pl.Float64, "carrier": pl.String},
    )


def body(rows: pl.DataFrame) -> bytes:
    """A request."""
    plain = rows.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
    return json.dumps({"dataframe_split": {"columns": plain.columns, "data": plain.rows()}}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`digests`: of the bundles of versions "1", "2", ...; `expected`: what their models answer to ASKED."""

    home: Path
    digests: Sequence[str]
    expected: Sequence[np.ndarray]
    env: dict[str, str] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger:
        return open_ledger(f"sqlite:///{self.home / 'ledger.db'}")

    def crown(self, version: int, sha256: str = "") -> None:
        champion = self.ledger.champion(NAME)
        change = Change(
            pipeline=NAME, kind="promotion", version=str(version), bundle_sha256=sha256 or self.digests[version - 1],
            trained_until=NOON, why="test", data_time=NOON, actor="test",
        )  # fmt: skip
        self.ledger.crown(change, expected_epoch=champion.epoch if champion else 0)

    @contextmanager
    def without_ledger(self) -> Iterator[None]:
        files = sorted(self.home.glob("ledger.db*"))
        for file in files:
            file.rename(file.with_name(f"away-{file.name}"))
        try:
            yield
        finally:
            for file in files:
                file.with_name(f"away-{file.name}").rename(file)


ASKED = trips(40, seed=9)


def build(folder: Path) -> World:
    """The home, in which each version's bundle lies."""
    home, pipelines = folder / "home", folder / "pipelines"
    pipelines.mkdir(parents=True)
    digests, expected = [], []
    for number, made in enumerate(MADE, start=1):
        file = pipelines / f"{NAME}.py"
        file.write_text(DEFINITION.replace("MADE", made))
        pipeline = load_pipeline(file)
        rows = trips(600, number).with_columns(late=(pl.col("distance").fill_null(0) * number % 7 > 3))
        model = training.fit(pipeline.spec, rows, RECIPE, seed=number, threads=1)
        sha256 = bundle.write(
            home / "made", model=model, pipeline=NAME, definition=file.read_text(), definition_hash="", snapshot="",
            rows=rows, profile_json="{}",
        )  # fmt: skip
        (home / "bundles" / NAME).mkdir(parents=True, exist_ok=True)
        (home / "made").rename(home / "bundles" / NAME / sha256)
        digests.append(sha256)
        expected.append(model.predict(ASKED))
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANDON_", "PROMETHEUS_"))}
    env = {**own, "ANDON_HOME": str(home), "ANDON_PIPELINES": str(pipelines), "PYTHONUNBUFFERED": "1"}
    return World(home=home, digests=digests, expected=expected, env=env)


def copied(world: World, folder: Path) -> World:
    """The same in a folder of its own."""
    home = folder / "home"
    shutil.copytree(world.home, home)
    env = {**world.env, "ANDON_HOME": str(home)}
    return World(home=home, digests=world.digests, expected=world.expected, env=env)


class Scorer:
    """A running scorer; `log` is what it says."""

    def __init__(self, world: World, *arguments: str, port: int = 0, **env: str) -> None:
        self.port, self.log = port or free_port(), world.home / f"scorer-{time.time_ns()}.log"
        command = [sys.executable, "-m", "serving.scorer", "--port", str(self.port), "--pipeline", NAME, *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env={**world.env, **env}, cwd=PROJECT, stdout=log, stderr=log)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)

    def await_up(self) -> None:
        line = f"scorer: http://127.0.0.1:{self.port}\n"
        wait_for("the scorer's line", lambda: line in self.said() or self.process.poll() is not None, seconds=60)
        assert self.process.poll() is None, self.said()[-3000:]

    def said(self) -> str:
        return self.log.read_text()

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in children.read_text().split()]

    def told(self) -> dict[str, Any]:
        return self.client.get(f"/{NAME}/version").raise_for_status().json()  # type: ignore[no-any-return]

    def await_version(self, version: int, *, seconds: float = 30) -> None:
        """Wait until all workers serve it: each connection is answered by one of them."""
        served = re.compile(rf"version {version} serves now \(epoch \d+, [1-9]")
        before = len(served.findall(self.said()))

        def serves() -> bool:
            return len(served.findall(self.said())) > before or self.told()["version"] == str(version)

        wait_for(f"version {version}", serves, seconds=seconds)

    def ask(self, rows: pl.DataFrame) -> tuple[str, np.ndarray]:
        """Version and predictions, over a connection of its own."""
        answer = httpx.post(f"{self.client.base_url}/{NAME}/invocations", content=body(rows), trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-andon-model-version"], np.array(answer.json()["predictions"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        self.client.close()
        workers = self.workers() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for pid in workers:
            wait_for(f"worker {pid} to end", lambda pid=pid: ended(pid), seconds=30)  # type: ignore[misc]


@contextmanager
def running(world: World, *arguments: str, port: int = 0, **env: str) -> Iterator[Scorer]:
    """A scorer that answers."""
    scorer = Scorer(world, *arguments, port=port, **env)
    try:
        scorer.await_up()
        yield scorer
    finally:
        scorer.close()


def ended(pid: int) -> bool:
    """Whether there is no such process any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Caller:
    """Asks one request after the other, each on a connection of its own; keeps versions and what was cut."""

    def __init__(self, scorer: Scorer) -> None:
        self.versions: list[str] = []
        self.cut: list[str] = []
        self.failed: list[str] = []
        self._url, self._done = f"{scorer.client.base_url}/{NAME}/invocations", threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Caller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=40)

    def _run(self) -> None:
        request = body(ASKED[:1])
        while not self._done.is_set():
            try:
                answer = httpx.post(self._url, content=request, trust_env=False, timeout=30)
            except httpx.HTTPError as error:
                self.cut.append(repr(error))
                continue
            if answer.status_code == 200:
                self.versions.append(answer.headers["x-andon-model-version"])
            else:
                self.failed.append(f"{answer.status_code} {answer.text}")
