"""A snapshot of an earlier moment stays what it was, whatever lands later, and however the tables are tidied."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from tests.e2e.accounts import PLACES, Ledger, account
from tests.e2e.ingest_world import AS_OF, LIMITS, Runner, Yard, arrivals, build, parcels, parquet, weather

ONE_BY_ONE = {**LIMITS, "arrivals.MAX_FILES": 1}
DAY = timedelta(days=1)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """On the first day forty parcels are taken in, thirty with labels, and the weather."""
    made = build(tmp_path / "home")
    made.define(on_repeat="last")
    made.land("rows", "a.parquet", parquet(parcels(*range(40))))
    made.land("labels", "a.parquet", parquet(arrivals(*range(30))))
    made.land("weather", "a.parquet", parquet(weather(*range(-5, 2))))
    return made


def snapshot(runner: Runner, yard: Yard, as_of: datetime) -> Any:
    """Digest and rows."""
    ended = runner.run(yard, "snapshot", as_of=as_of)
    assert not ended.error, ended.log[-3000:]
    return ended.found


def land_later(yard: Yard) -> None:
    """Ten rows and ten labels are corrected, ten labels come late, three parcels are new, the weather is another."""
    yard.land("rows", "b.parquet", parquet(parcels(*range(10), weight=29.0), parcels(40, 41, 42)))
    yard.land("labels", "b.parquet", parquet(arrivals(*range(10), minutes=7.0, after=31), arrivals(*range(30, 43))))
    yard.land("weather", "b.parquet", parquet(weather(*range(-5, 2), temp=-30.0), weather(*range(-20, -5))))


def files(yard: Yard, kind: str) -> int:
    """How many the table has, by its own log."""
    return len(DeltaTable(f"{yard.lake}/{PLACES[kind]}").file_uris())


def test_corrections_late_labels_and_backfills_change_no_earlier_snapshot(runner: Runner, yard: Yard) -> None:
    runner.ingest(yard, as_of=AS_OF)
    first = snapshot(runner, yard, AS_OF)
    land_later(yard)
    runner.ingest(yard, as_of=AS_OF + DAY)
    assert snapshot(runner, yard, AS_OF) == first
    second = snapshot(runner, yard, AS_OF + DAY)
    assert (len(first[1]), len(second[1])) == (30, 43)
    old, new = ({row[0]: row for row in taken} for _, taken in (first, second))
    assert {key for key, row in old.items() if row != new[key]} >= set(range(10))
    assert (old[0][3], new[0][3]) == (1.0, 29.0), "the weight, corrected"
    assert account(yard, on_repeat="last")["rows"].curated == 53


def test_a_file_that_a_killed_process_left_is_known_since_it_was_committed(runner: Runner, yard: Yard) -> None:
    """Who comes a day later tells it; what was learned on the day in between stays what it was."""
    quick = Yard(home=yard.home, lake=yard.lake, landing=yard.landing, env={**yard.env, "ANDON_LEASE_SECONDS": "0.2"})
    runner.kill_at(quick, "ingest.appended", as_of=AS_OF, group=2)
    time.sleep(0.5)
    runner.ingest(quick, as_of=AS_OF + 2 * DAY)
    known = DeltaTable(f"{yard.lake}/{PLACES['rows']}").to_pyarrow_table(columns=["_known_at"])["_known_at"]
    assert set(known.to_pylist()) == {AS_OF}
    told = [row["data_time"] for row in Ledger(yard).verdicts if row["kind"] == "contract"]
    assert len(told) == 3
    assert len(snapshot(runner, yard, AS_OF + 3 * DAY)[1]) == 30


@pytest.mark.slow
def test_tidying_up_changes_no_snapshot_and_is_told_once(runner: Runner, yard: Yard) -> None:
    runner.ingest(yard, as_of=AS_OF)
    land_later(yard)
    runner.ingest(yard, as_of=AS_OF + DAY)
    days = [AS_OF, AS_OF + DAY, AS_OF + 2 * DAY]
    for number in range(31):
        yard.land("rows", f"c{number:02}.parquet", parquet(parcels(100 + number, 100 + number + 1)))
    runner.ingest(yard, as_of=days[-1], limits=ONE_BY_ONE)
    before = [snapshot(runner, yard, day) for day in days]
    assert files(yard, "rows") == 33
    drafts = [yard.home / "lake" / "quarantine" / "yard" / name for name in (".old.tmp", ".new.tmp")]
    for draft in drafts:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text("half a fi")
    os.utime(drafts[0], (time.time() - 90_000,) * 2)

    told = runner.run(yard, "reconcile", as_of=days[-1]).found
    assert told == [["upkeep of rows", "repaired", "33 files became 1; 1 half-written files were deleted"]]
    assert runner.run(yard, "reconcile", as_of=days[-1]).found == []
    assert (files(yard, "rows"), drafts[0].exists(), drafts[1].exists()) == (1, False, True)
    assert [snapshot(runner, yard, day) for day in days] == before
    assert account(yard, on_repeat="last")["rows"].curated == 53 + 32


@pytest.mark.slow
def test_nothing_that_a_snapshot_needs_is_ever_deleted(runner: Runner, yard: Yard) -> None:
    """Compacted and vacuumed after each day, whatever is no part of the tables is deleted at once."""
    days, taken = [AS_OF + number * DAY for number in range(4)], []
    for day in days:
        if day == days[1]:
            land_later(yard)
        yard.land("rows", f"{day:%d}.parquet", parquet(parcels(*range(500, 510 + day.day), weight=float(day.day))))
        runner.ingest(yard, as_of=day)
        taken.append(snapshot(runner, yard, day))
        runner.run(yard, "maintain")
        assert [snapshot(runner, yard, earlier) for earlier in days[: len(taken)]] == taken
    runner.run(yard, "maintain")
    on_disk = list((yard.home / "lake" / "curated" / "yard").glob("*.parquet"))
    assert len(on_disk) == files(yard, "rows") == 1
    assert pl.read_parquet(on_disk[0]).height == account(yard, on_repeat="last")["rows"].curated
