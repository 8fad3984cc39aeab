"""A yard: parcels (rows), how long they took (labels) and the weather that they look up (a reference table); and a
runner, which does ingest's work on it in processes that can be killed, paused or starved.

`sent` keeps all bytes that have ever landed, by their digest, for the independent count (accounts.py).
"""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from andon.processes import PROJECT
from tests.e2e.world import wait_for

NAME = "yard"
AS_OF = datetime(2024, 2, 1, tzinfo=UTC)
FOLDERS = {"labels": "arrivals", "weather": "weather", "rows": "parcels"}
# Files of a hundred kilobytes are large ones, and a group holds a few small ones.
LIMITS: Mapping[str, int] = {
    "arrivals.MAX_BYTES": 60_000,
    "admission.SMALL_BYTES": 40_000,
}

DEFINITION = """
from typing import Annotated

import pandera.polars as pa
import polars as pl

from andon import Labels, Lookup, Pipeline, Quarantine, Source, Suspicion, Table


class Parcels(pa.DataFrameModel):
    parcel_id: int = pa.Field(unique=True)
    sent_at: Annotated[pl.Datetime, "us", "UTC"]
    depot: str
    weight: float = pa.Field(gt=0, le={max_weight})
    note: str


class Weather(pa.DataFrameModel):
    depot: str
    seen_at: Annotated[pl.Datetime, "us", "UTC"]
    temp: float = pa.Field(ge=-60, le=60)


def features(parcels):
    return parcels.select("weight", "temp")


WEATHER = Table(
    name="weather", path="{landing}/weather/*", contract=Weather, key="depot", time="seen_at", delay="1h"
)
PIPELINE = Pipeline(
    name="yard",
    source=Source(path="{landing}/parcels/*", time="sent_at", key="parcel_id", on_repeat="{on_repeat}"),
    labels=Labels(path="{landing}/arrivals/*", target="minutes", matures_after="1h"),
    contract=Parcels,
    features=features,
    lookups=(Lookup(table=WEATHER, on="depot", as_of="sent_at"),),
    task="regression",
    metric="l2",
    quarantine=Quarantine(max_bad_share=0.2),
    suspicion=Suspicion({suspicion}),
)
"""
_UNSUSPECTING = "min_rows=1, batches=50, min_batches=50"


def parcels(*keys: int, weight: float | None = None, text: int = 0) -> pl.DataFrame:
    """These parcels; `text`: how many kilobytes of text each carries, which no compression makes smaller."""
    return pl.DataFrame(
        {
            "parcel_id": keys,
            "sent_at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=key % 40_000) for key in keys],
            "depot": ["east" if key % 2 else "west" for key in keys],
            "weight": [1.0 + key % 20 if weight is None else weight for key in keys],
            "note": [f"parcel {key} {_noise(key, text)}" for key in keys],
        },
        schema_overrides={"parcel_id": pl.Int64},
    )


def arrivals(*keys: int, minutes: float | None = None, after: int = 30) -> pl.DataFrame:
    """How long these parcels took, known `after` so many minutes."""
    sent = parcels(*keys)
    return sent.select(
        "parcel_id",
        minutes=pl.lit(minutes, pl.Float64) if minutes is not None else pl.col("weight") * 10,
        known_at=pl.col("sent_at") + timedelta(minutes=after),
    )


def weather(*hours: int, temp: float | None = None) -> pl.DataFrame:
    """The weather in the east at these hours of January."""
    return pl.DataFrame(
        {
            "depot": ["east"] * len(hours),
            "seen_at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in hours],
            "temp": [float(hour % 30) if temp is None else temp for hour in hours],
        }
    )


def parquet(*frames: pl.DataFrame) -> bytes:
    """The bytes of a file with all these rows."""
    file = io.BytesIO()
    pl.concat(frames).write_parquet(file, compression="uncompressed")
    return file.getvalue()


def csv(*frames: pl.DataFrame) -> bytes:
    """The same rows as text."""
    return pl.concat(frames).write_csv().encode()


def _noise(key: int, kilobytes: int) -> str:
    return "".join(hashlib.sha512(b"%d-%d" % (key, part)).hexdigest() for part in range(8 * kilobytes))


@dataclass(frozen=True, kw_only=True)
class Yard:
    """An installation. `env`: what its processes are told; `endpoint`: of the S3 store that lake or landing are in."""

    home: Path
    lake: str
    landing: str
    endpoint: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> Path:
        return self.home / "sent"

    def define(self, *, on_repeat: str = "first", suspicion: str = _UNSUSPECTING, max_weight: float = 30) -> None:
        """Write the pipeline's file, anew."""
        text = DEFINITION.format(
            landing="landing" if self.landing == f"{self.lake}/landing" else self.landing,
            on_repeat=on_repeat,
            suspicion=suspicion,
            max_weight=max_weight,
        )
        (self.home / "pipelines" / f"{NAME}.py").write_text(text)

    def land(self, kind: str, name: str, data: bytes, *, whole: bool = True) -> None:
        """A file arrives, in place of what was; not `whole`: it is known that it will never be taken like this."""
        if whole:
            (self.sent / hashlib.sha256(data).hexdigest()).write_bytes(data)
        self.files.pipe_file(f"{self.landing}/{FOLDERS[kind]}/{name}", data)

    def take_away(self, kind: str, name: str) -> None:
        self.files.rm_file(f"{self.landing}/{FOLDERS[kind]}/{name}")

    @property
    def files(self) -> Any:
        """The file system in which it lies, past all code of ours."""
        import fsspec  # type: ignore[import-untyped]

        if self.lake.startswith("s3://") or self.landing.startswith("s3://"):
            return fsspec.filesystem("s3", endpoint_url=self.endpoint, use_listings_cache=False)
        return fsspec.filesystem("file", auto_mkdir=True)


def build(home: Path, *, lake: str = "", landing: str = "", endpoint: str = "", **env: str) -> Yard:
    """A new installation, into which nothing has landed yet. `lake`, `landing`: local folders or places in S3."""
    for folder in ("pipelines", "sent"):
        (home / folder).mkdir(parents=True)
    lake = lake or str(home / "lake")
    own = {
        "ANDON_HOME": str(home),
        "ANDON_PIPELINES": str(home / "pipelines"),
        "ANDON_LAKE": lake,
        "ANDON_S3_ENDPOINT": endpoint,
        "ANDON_SETTLE_SECONDS": "0",
        "ANDON_LEASE_SECONDS": "0.5",
        "ANDON_SCORER_URL": "http://127.0.0.1:9",
    }
    own |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    yard = Yard(home=home, lake=lake, landing=landing or f"{lake}/landing", endpoint=endpoint, env={**own, **env})
    yard.define()
    return yard


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How an act came to its end. `code`: negative for a signal; `found`: what it returned; `error`: what it raised."""

    code: int
    found: Any
    error: str
    log: str

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """Subject and outcome of the verdicts."""
        return [(subject, outcome) for subject, outcome, _ in self.found]


class Runner:
    """Starts acts (see ingest_runner.py), each in a process of its own, of which nothing is left when they end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._asked = folder, dict[int, tuple[Path, Path]]()
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ANDON_", "PREFECT_"))}
        # Events go nowhere; one thread for each pool is as many as these few rows need.
        quiet = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_HOME": str(folder), "POLARS_MAX_THREADS": "2"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.ingest_runner"],
            env={**own, **quiet, "OPENBLAS_NUM_THREADS": "1"},
            cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def begin(
        self,
        yard: Yard,
        act: str,
        *,
        as_of: datetime = AS_OF,
        limits: Mapping[str, int] = LIMITS,
        largest_file: int = 0,
        **more: object,
    ) -> int:
        """Start an act; returns its process. `largest_file`: bytes that a file may have, as if the disk were full."""
        log, answer = (self._folder / f"{uuid.uuid4().hex}.{kind}" for kind in ("log", "json"))
        pid = self._ask(
            do="begin", act=act, env=dict(yard.env), as_of=as_of.isoformat(), limits=dict(limits), more=more,
            largest_file=largest_file, pipeline=NAME, log=str(log), answer=str(answer),
        )  # fmt: skip
        self._asked[pid] = log, answer
        return pid

    def kill(self, pid: int, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal to an act's process, which may have ended."""
        os.kill(pid, signal_number)  # nobody else gets its number before it was waited for

    def wait(self, pid: int) -> Ended:
        """Wait for an act to end."""
        code = self._ask(do="wait", pid=pid)
        log, answer = self._asked.pop(pid)
        told = json.loads(answer.read_text()) if answer.exists() else {}
        return Ended(code=code, found=told.get("found"), error=told.get("error", ""), log=log.read_text())

    def stop_at(self, yard: Yard, point: str, **more: Any) -> int:
        """Begin to ingest and stop at this point; returns the process, which `go_on` lets come to its end."""
        pid = self.begin(yard, "ingest", stop=point, **more)
        stat = Path(f"/proc/{pid}/stat")

        def state() -> str:
            return stat.read_text().rpartition(")")[2].split()[0]

        wait_for(f"the process to stop at {point}", lambda: state() in "TZ", seconds=60, every=0.01)
        assert state() == "T", f"{point} was not reached:\n{self.wait(pid).log[-3000:]}"
        return pid

    def go_on(self, pid: int) -> Ended:
        """Let a process that was stopped come to its end."""
        self.kill(pid, signal.SIGCONT)
        return self.wait(pid)

    def run(self, yard: Yard, act: str, **more: Any) -> Ended:
        """Do an act; it must come to its end, whatever it says."""
        ended = self.wait(self.begin(yard, act, **more))
        assert ended.code == 0, f"{act} ended with {ended.code}:\n{ended.log[-3000:]}"
        return ended

    def ingest(self, yard: Yard, **more: Any) -> list[tuple[str, str]]:
        """Take in what has landed; subject and outcome of the verdicts. It must not fail."""
        ended = self.run(yard, "ingest", **more)
        assert not ended.error, ended.log[-3000:]
        return ended.outcomes

    def kill_at(self, yard: Yard, point: str, act: str = "ingest", **more: Any) -> None:
        """Begin an act; it must die at this point."""
        ended = self.wait(self.begin(yard, act, kill=point, **more))
        assert ended.code == -signal.SIGKILL, f"{point} was not reached:\n{ended.log[-3000:]}"

    def close(self) -> None:
        self._server.communicate(timeout=60)

    def _ask(self, **asked: object) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(asked), file=self._server.stdin, flush=True)
        answer = self._server.stdout.readline()
        assert answer, "the runner is dead"
        return int(json.loads(answer))


@contextmanager
def running(folder: Path) -> Iterator[Runner]:
    """A runner, while inside."""
    runner = Runner(folder)
    try:
        yield runner
    finally:
        runner.close()


def subjects(found: Sequence[tuple[str, str]], outcome: str) -> list[str]:
    """Who has this outcome."""
    return [subject for subject, told in found if told == outcome]
