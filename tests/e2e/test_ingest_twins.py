"""Several processes that take in files at once, one of them asleep for longer than its lease lived: no row twice."""

import time
from pathlib import Path

import pytest

from tests.e2e.accounts import Accounts, account, staged
from tests.e2e.ingest_world import Runner, Yard, build, parcels, parquet

pytestmark = pytest.mark.slow  # each starts processes that import the whole line

LEASE_SECONDS = 0.2
LOST = "nothing was written: stop, and let reconcile go on"
AFTER_THE_COMMIT = ("appended", "recorded")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Two files, one of which repeats a row of the other, have landed."""
    made = build(tmp_path / "home", ANDON_LEASE_SECONDS=str(LEASE_SECONDS))
    made.land("rows", "a.parquet", parquet(parcels(*range(40)), parcels(90, weight=-1.0)))
    made.land("rows", "b.parquet", parquet(parcels(*range(39, 80)), parcels(91, weight=-1.0)))
    return made


EXPECTED = Accounts(landed=83, curated=80, quarantined=2, refused=0, duplicates=1)


def outlive_the_lease() -> None:
    time.sleep(2 * LEASE_SECONDS)


def test_processes_that_start_at_once_take_each_file_once(runner: Runner, tmp_path: Path) -> None:
    yard = build(tmp_path / "home", ANDON_LEASE_SECONDS="60")
    for number in range(8):
        for part in range(3):
            keys = range(100 * number + 10 * part, 100 * number + 10 * part + 12)  # two of them come again
            yard.land("rows", f"{number}-{part}.parquet", parquet(parcels(*keys)))
        ended = [runner.wait(pid) for pid in [runner.begin(yard, "ingest") for _ in range(3)]]
        assert [item.error for item in ended] == [""] * 3
    runner.ingest(yard)
    assert account(yard)["rows"] == Accounts(landed=288, curated=256, quarantined=0, refused=0, duplicates=32)
    assert staged(yard) == []


@pytest.mark.parametrize(
    "point",
    [
        "listed",
        "claimed",
        "prepared",
        "quarantined",
        "staged",
        "committing",
        "appended",
        "recorded",
    ],
)
def test_a_process_that_wakes_up_after_another_has_done_its_work_changes_nothing(
    runner: Runner, yard: Yard, point: str
) -> None:
    sleeper = runner.stop_at(yard, f"ingest.{point}")
    outlive_the_lease()
    runner.ingest(yard)
    before = account(yard)
    woken = runner.go_on(sleeper)
    assert LOST in woken.error or point == "recorded", woken
    assert runner.ingest(yard) == []
    assert account(yard) == before
    assert before["rows"] == EXPECTED
    assert staged(yard) == []


@pytest.mark.parametrize("point", ["claimed", "staged", "committing"])
def test_a_process_that_wakes_up_in_the_middle_of_anothers_work(runner: Runner, yard: Yard, point: str) -> None:
    """Both are about to commit the same batches; whoever does, what the ledger tells is what the table holds."""
    sleeper = runner.stop_at(yard, f"ingest.{point}")
    outlive_the_lease()
    other = runner.stop_at(yard, "ingest.staged")
    assert LOST in runner.go_on(sleeper).error
    assert runner.go_on(other).error == ""
    assert runner.ingest(yard) == []
    assert account(yard)["rows"] == EXPECTED
    assert staged(yard) == []


def test_what_a_sleeper_commits_of_a_file_that_was_told_to_be_gone_counts_when_it_lands_again(
    runner: Runner, yard: Yard
) -> None:
    data = (Path(yard.landing) / "parcels" / "a.parquet").read_bytes()
    sleeper = runner.stop_at(yard, "ingest.committing")
    outlive_the_lease()
    yard.take_away("rows", "a.parquet")
    assert runner.ingest(yard) == [("a.parquet", "refuse"), ("b.parquet", "quarantine")]
    assert runner.go_on(sleeper).error != ""
    yard.land("rows", "a.parquet", data)
    runner.ingest(yard)
    counted = account(yard)["rows"]
    assert (counted.landed, counted.curated, counted.quarantined) == (83, 80, 2)
