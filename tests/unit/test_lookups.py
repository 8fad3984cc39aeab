"""Lookups of a pipeline in its lake: accepted batches alone, and what a person let in only from then on."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import pandera.polars as pa
import polars as pl
import pytest

from andon import Lookup, Table
from andon.settings import Settings
from registry.ledger import Arrival, Batch, BatchState
from registry.memory import MemoryLedger
from storage import tables
from storage.lake import Lake
from tasks.lookups import looked_up
from tasks.site import Site
from tests.fakes import FolderStore
from tests.unit.definitions import Trips, define
from tests.unit.lake_world import MOMENT, day
from validation.contract import ContractVerdict
from validation.deeds import Released


class Tolls(pa.DataFrameModel):
    zone: str
    since: Annotated[pl.Datetime, "us", "UTC"]
    toll: float


TOLLS = Table(name="tolls", path="landing/tolls/*.parquet", contract=Tolls, key="zone", time="since")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(
        pipeline=define(contract=Trips, lookups=(Lookup(table=TOLLS, on="zone", as_of="started_at"),)),
        settings=Settings(home=tmp_path),
        ledger=MemoryLedger(),
        store=FolderStore(tmp_path / "store"),
        lake=Lake(tmp_path / "lake"),
        actor="test",
    )


def bring(site: Site, since: datetime, toll: float, *, came: datetime, state: BatchState = "accepted") -> Batch:
    """A batch of one toll in the north, as ingest leaves it."""
    name = f"{toll}.parquet"
    (batch,) = site.ledger.claim_batches(site.name, "tolls", [Arrival(name=name, sha256=name.ljust(64, "0"))])
    row = {"zone": "north", "since": since, "toll": toll, "_batch": batch.number, "_known_at": came}
    rows = pl.LazyFrame([row], schema_overrides={"since": MOMENT, "_known_at": MOMENT})
    place, marker = site.lake.table(site.name, "tolls"), f"{site.name}/tolls/{batch.number}"
    tables.append(place, rows, markers=[marker], remote=site.lake.remote, work=site.work)
    verdict = ContractVerdict(
        pipeline=site.name, subject=name, outcome="accept", reasons=("good",), data_time=came, rows_in=1
    )
    (done,) = site.ledger.finish_batches([(replace(batch, state=state), verdict)], actor="test")
    return done


def release(site: Site, batch: Batch, *, at: datetime) -> None:
    said = Released(
        pipeline=site.name,
        subject=batch.name,
        outcome="released",
        reasons=("the toll is right",),
        data_time=at,
        batch=batch.number,
        batch_kind=batch.kind,
    )
    site.ledger.settle_batch(batch, said, state="accepted", actor="ann")


def tolls(site: Site, *came: datetime, batches: dict[str, tuple[int, ...]] | None = None) -> list[float | None]:
    """What trips in the north on day 5 are told that came at these moments."""
    trips = pl.LazyFrame(
        {"zone": ["north"] * len(came), "started_at": [day(5)] * len(came), "_known_at": came},
        schema={"zone": pl.String, "started_at": MOMENT, "_known_at": MOMENT},
    )
    told: list[float | None] = looked_up(site, trips, as_known_at=day(99), batches=batches).collect()["toll"].to_list()
    return told


def test_before_any_batch_there_is_nothing_to_tell(site: Site) -> None:
    assert tolls(site, day(9)) == [None]


def test_only_accepted_batches_are_told_and_of_these_the_asked_for(site: Site) -> None:
    first = bring(site, day(1), 1.0, came=day(6))
    bring(site, day(2), 2.0, came=day(6), state="suspect")
    second = bring(site, day(3), 3.0, came=day(7))
    assert tolls(site, day(5), day(6), day(7)) == [None, 1.0, 3.0]
    assert tolls(site, day(7), batches={"tolls": (first.number,)}) == [1.0]
    assert tolls(site, day(7), batches={"tolls": (first.number, second.number)}) == [3.0]
    assert tolls(site, day(7), batches={}) == [None]


def test_a_released_batch_is_told_to_rows_that_come_after_its_release_and_to_no_others(site: Site) -> None:
    """Rows that came before it were scored without it, though it lay there; they must be learned from like that."""
    bring(site, day(1), 1.0, came=day(6))
    held = bring(site, day(2), 2.0, came=day(7), state="suspect")
    before = tolls(site, day(6), day(8))
    release(site, held, at=day(9))
    assert before == tolls(site, day(6), day(8)) == [1.0, 1.0]
    assert tolls(site, day(9)) == [2.0]
