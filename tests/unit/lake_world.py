"""A lake and a ledger for tests, filled by hand: batches of trips and their labels, as ingest leaves them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from registry.ledger import Arrival, BatchState
from storage import tables
from tasks.descriptions import describe
from tasks.site import Site
from tasks.snapshots import record
from tasks.taking import question, take
from validation.contract import ContractVerdict
from validation.deeds import Released
from validation.gate import Evidence, Gate, Guards, judge
from validation.training_set import Description
from validation.verdict import Verdict

MOMENT = pl.Datetime("us", "UTC")


def day(number: float) -> datetime:
    return datetime(2013, 4, 1, tzinfo=UTC) + timedelta(days=number)


@dataclass(frozen=True)
class Trip:
    key: str
    at: datetime
    distance: float | None = 1.0
    zone: str = "north"


@dataclass(frozen=True)
class End:
    """A label."""

    key: str
    late: bool
    known_at: datetime


@dataclass(frozen=True)
class Seen:
    """An observation of the weather (see test_lookup_definition)."""

    zone: str
    at: datetime
    temp: float
    visib: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """`site` with a folder for what is being written."""

    site: Site
    work: Path

    def trips(self, *rows: Trip, came: datetime, state: BatchState = "accepted") -> None:
        schema: dict[str, Any] = {"trip_id": pl.String, "started_at": MOMENT, "distance": pl.Float64, "zone": pl.String}
        values = [(row.key, row.at, row.distance, row.zone) for row in rows]
        self._bring("rows", pl.DataFrame(values, schema=schema, orient="row"), came, state)

    def ends(self, *rows: End, came: datetime) -> None:
        schema: dict[str, Any] = {"trip_id": pl.String, "late": pl.Boolean, "known_at": MOMENT}
        values = [(row.key, row.late, row.known_at) for row in rows]
        self._bring("labels", pl.DataFrame(values, schema=schema, orient="row"), came, "accepted")

    def weather(self, *rows: Seen, came: datetime) -> None:
        schema: dict[str, Any] = {"zone": pl.String, "observed_at": MOMENT, "temp": pl.Float64, "visib": pl.Float64}
        values = [(row.zone, row.at, row.temp, row.visib) for row in rows]
        self._bring("weather", pl.DataFrame(values, schema=schema, orient="row"), came, "accepted")

    def release(self, number: int, *, at: datetime) -> None:
        """A person lets a suspect batch of rows in."""
        site = self.site
        batch = site.ledger.batches(site.name, kind="rows")[number - 1]
        told = Released(
            pipeline=site.name,
            subject=batch.name,
            outcome="released",
            reasons=("the meter is right",),
            data_time=at,
            batch=number,
            batch_kind="rows",
        )
        site.ledger.settle_batch(batch, told, state="accepted", actor="ann")

    def learn(self, version: str, *, as_of: datetime) -> Description:
        """A retrain takes the snapshot of the moment, and its challenger becomes this version."""
        site = self.site
        snapshot = take(site, question(site, as_of))
        assert snapshot is not None
        lease = site.ledger.acquire(site.name, "retrain", holder="test", ttl=timedelta(minutes=1))
        assert lease is not None
        description = describe(site, snapshot)
        record(site, description, lease=lease)
        site.ledger.release(lease)
        site.ledger.record(
            gate(site.name, version, snapshot=description.id, as_of=as_of, rows=description.rows), actor="test"
        )
        return description

    def _bring(self, kind: str, rows: pl.DataFrame, came: datetime, state: BatchState) -> None:
        site, count = self.site, rows.height
        number = len(site.ledger.batches(site.name, kind=kind)) + 1
        name, sha256 = f"{kind}-{number}.parquet", f"{kind}{number}".ljust(64, "0")
        (batch,) = site.ledger.claim_batches(site.name, kind, [Arrival(name=name, sha256=sha256)])
        own = {"rows": site.lake.curated(site.name), "labels": site.lake.labels(site.name)}
        place = own.get(kind) or site.lake.table(site.name, kind)
        stamped = rows.lazy().with_columns(
            pl.lit(number, pl.Int64).alias("_batch"), pl.lit(came, MOMENT).alias("_known_at")
        )
        marker = f"{site.name}/{kind}/{number}"
        tables.append(place, stamped, markers=[marker], remote=site.lake.remote, work=self.work)
        outcome = "accept" if state == "accepted" else state
        verdict = ContractVerdict(
            pipeline=site.name, subject=name, outcome=outcome, reasons=("good",), data_time=came, rows_in=count
        )
        done = replace(batch, state=state, rows_in=count, rows_accepted=count)
        site.ledger.finish_batches([(done, verdict)], actor="test")


def gate(pipeline: str, version: str, *, snapshot: str, as_of: datetime, rows: int) -> Verdict:
    """What a gate that saw no rows says of a version that learned from the snapshot."""
    nothing = np.zeros(0)
    evidence = Evidence(champion_loss=nothing, challenger_loss=nothing, blocks=nothing.astype(np.int64))
    guards = Guards(load_ok=True, latency_ms=1.0, size_mb=1.0)
    said = judge(evidence, guards, policy=Gate(), pipeline=pipeline, subject=version, as_of=as_of)
    return replace(said, challenger_version=version, snapshot=snapshot, mature_rows=rows)
