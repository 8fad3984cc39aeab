"""Ingest where the lake, or what lands, is in a bucket: resets, refusals and silence end it; nothing is lost."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.processes import PROJECT
from tests.e2e.accounts import Accounts, account, staged
from tests.e2e.ingest_world import Runner, Yard, arrivals, build, parcels, parquet, weather
from tests.faults import Fault, FaultProxy, fault_proxy
from tests.s3 import create_bucket, s3_server

SECONDS = 2.0  # the deadline of each call
LEASE_SECONDS = 0.5
EXPECTED = Accounts(landed=124, curated=81, quarantined=1, refused=40, duplicates=2)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def proxy(s3: str) -> Iterator[FaultProxy]:
    with fault_proxy(s3) as started:
        yield started


@pytest.fixture
def yard(s3: str, proxy: FaultProxy, tmp_path: Path) -> Yard:
    return in_bucket(s3, proxy, tmp_path / "home")


def in_bucket(s3: str, proxy: FaultProxy, home: Path) -> Yard:
    """Lake and landing are in a bucket, which ingest reaches through the proxy; three files of rows have landed."""
    made = build(
        home,
        lake=f"{create_bucket(s3)}/my lake",
        endpoint=s3,
        ANDON_S3_ENDPOINT=proxy.url,
        ANDON_REMOTE_SECONDS=str(SECONDS),
        ANDON_LEASE_SECONDS=str(LEASE_SECONDS),
    )
    made.land("rows", "a.parquet", parquet(parcels(*range(40)), parcels(90, weight=-1.0)))
    made.land("rows", "b.parquet", parquet(parcels(38, 39, *range(40, 81))))
    made.land("rows", "c.parquet", parquet(parcels(*range(200, 240)).drop("depot")))
    return made


def test_all_kinds_are_taken_in_and_found_in_the_bucket(runner: Runner, yard: Yard) -> None:
    yard.land("labels", "a.parquet", parquet(arrivals(*range(40))))
    yard.land("weather", "a.parquet", parquet(weather(*range(40))))
    yard.land("rows", "z-large.parquet", parquet(parcels(*range(1000, 1100), text=1)))
    runner.ingest(yard)
    assert runner.ingest(yard) == []
    labels = Accounts(landed=40, curated=40, quarantined=0, refused=0, duplicates=0)
    rows = Accounts(landed=224, curated=181, quarantined=1, refused=40, duplicates=2)
    assert account(yard) == {"labels": labels, "weather": labels, "rows": rows}
    assert staged(yard) == []


def test_a_store_without_conditional_writes_is_refused_at_once(runner: Runner, yard: Yard, proxy: FaultProxy) -> None:
    proxy.breaks("unconditional")
    ended = runner.run(yard, "ingest")
    assert ended.error.startswith("ServiceDownError: the store of s3://andon-")
    assert ended.error.endswith("use a store that keeps them, as AWS S3 does, or a local folder (ANDON_LAKE)")
    assert not yard.files.exists(f"{yard.lake}/curated")
    proxy.breaks("none")
    runner.ingest(yard)
    assert account(yard)["rows"] == EXPECTED


@pytest.fixture(scope="module")
def usual(runner: Runner, s3: str, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls such an ingest takes."""
    with fault_proxy(s3) as proxy:
        runner.ingest(in_bucket(s3, proxy, tmp_path_factory.mktemp("usual") / "home"))
        return int(proxy.calls)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "share"),
    [
        ("503", 0.0), ("reset", 0.3), ("stall", 0.4), ("hang", 0.6),
        ("lost answer", 0.65), ("503", 0.7), ("hang", 0.8), ("lost answer", 0.85), ("reset", 0.95),
    ],
)  # fmt: skip
def test_a_store_that_fails_for_good_ends_it_and_the_next_run_takes_all(  # noqa: PLR0917 - fixtures
    runner: Runner, yard: Yard, proxy: FaultProxy, usual: int, fault: Fault, share: float
) -> None:
    """From a point on: while listing, fetching, reading the table, staging, putting a file, committing, ..."""
    proxy.breaks(fault, after=int(share * usual))
    began = time.monotonic()
    ended = runner.run(yard, "ingest")
    assert ended.error.startswith("ServiceDownError: ") or any(told == "failed" for _, told in ended.outcomes), ended
    assert time.monotonic() - began < 10 * SECONDS, "each call ends within its deadline, and there are few"
    proxy.breaks("none")
    time.sleep(LEASE_SECONDS)
    runner.ingest(yard)
    assert runner.ingest(yard) == []
    assert account(yard)["rows"] == EXPECTED
    assert staged(yard) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["503", "lost answer"])
def test_what_passes_is_survived(runner: Runner, yard: Yard, proxy: FaultProxy, usual: int, fault: Fault) -> None:
    proxy.breaks(fault, calls=2, after=usual // 2)
    runner.ingest(yard)
    assert account(yard)["rows"] == EXPECTED


@pytest.mark.slow
@pytest.mark.parametrize("point", ["staged", "appended", "recorded"])
def test_killed_the_next_run_finishes_the_work(runner: Runner, yard: Yard, point: str) -> None:
    runner.kill_at(yard, f"ingest.{point}")
    time.sleep(2 * LEASE_SECONDS)
    runner.ingest(yard)
    assert account(yard)["rows"] == EXPECTED
    assert staged(yard) == []


@pytest.mark.slow
def test_a_local_lake_takes_in_what_lands_in_a_bucket(
    runner: Runner, s3: str, proxy: FaultProxy, tmp_path: Path
) -> None:
    yard = build(
        tmp_path / "home",
        landing=str(create_bucket(s3)),
        endpoint=s3,
        ANDON_S3_ENDPOINT=proxy.url,
        ANDON_REMOTE_SECONDS=str(SECONDS),
    )
    whole = parquet(parcels(*range(40)))
    yard.land("rows", "a.parquet", whole)
    pid = runner.stop_at(yard, "ingest.listed")
    yard.land("rows", "a.parquet", parquet(parcels(*range(100, 140))))  # it comes again while it is read
    assert runner.go_on(pid).outcomes == [("ingest", "skipped")]
    assert runner.ingest(yard) == [("a.parquet", "accept")]
    yard.land("rows", "a.parquet", whole)  # and is what it was
    pid = runner.stop_at(yard, "ingest.claimed")
    runner.kill(pid)
    runner.wait(pid)
    yard.take_away("rows", "a.parquet")
    time.sleep(2 * LEASE_SECONDS)
    assert runner.ingest(yard) == [("a.parquet", "refuse")]
    yard.land("rows", "a.parquet", whole)  # with the stamp that it had
    assert runner.ingest(yard) == [("a.parquet", "accept")]
    assert account(yard)["rows"] == Accounts(landed=80, curated=80, quarantined=0, refused=0, duplicates=0)


def test_many_threads_may_be_the_first_to_call(s3: str) -> None:
    """Each would have made an event loop of its own, and all but one would have failed for ever."""
    program = f"""
from storage.address import Address
from storage.probe import require_conditional_writes
from storage.remote import Remote
require_conditional_writes(Address("{create_bucket(s3)}"), Remote(endpoint="{s3}", seconds=10))
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
