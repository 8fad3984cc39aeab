"""What people, networks and restarts do to landed files: none of it loses a row, doubles one, or says it did not."""

import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.e2e.accounts import Accounts, Ledger, account, aside, reasons, staged, table_rows
from tests.e2e.ingest_world import Runner, Yard, arrivals, build, parcels, parquet, weather

pytestmark = pytest.mark.slow  # each starts processes that import the whole line

LEASE_SECONDS = 0.2
GONE = "was taken away or overwritten before it was taken in; let it land again"


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return build(tmp_path / "home", ANDON_LEASE_SECONDS=str(LEASE_SECONDS))


def kill_at(runner: Runner, yard: Yard, point: str, act: str = "ingest", **more: Any) -> None:
    runner.kill_at(yard, point, act, **more)
    time.sleep(2 * LEASE_SECONDS)


def rows(landed: int, curated: int, *, quarantined: int = 0, refused: int = 0, duplicates: int = 0) -> Accounts:
    return Accounts(landed=landed, curated=curated, quarantined=quarantined, refused=refused, duplicates=duplicates)


# Restarts


def test_a_file_that_goes_between_the_commit_and_the_ledger_stays_accepted_as_it_was_judged(
    runner: Runner, yard: Yard
) -> None:
    yard.land("rows", "a.parquet", parquet(parcels(*range(40)), parcels(90, weight=-1.0)))
    yard.land("rows", "b.parquet", parquet(parcels(39, *range(40, 80)), parcels(91, weight=-1.0)))
    kill_at(runner, yard, "ingest.appended")
    yard.take_away("rows", "a.parquet")
    assert runner.ingest(yard) == [("a.parquet", "quarantine"), ("b.parquet", "quarantine")]
    assert account(yard)["rows"] == rows(83, 80, quarantined=2, duplicates=1)
    assert reasons(Ledger(yard), "rows", "b.parquet")[0].startswith("1 of 42 rows have a key that an earlier file")
    assert staged(yard) == []


def test_what_was_committed_together_is_told_though_it_comes_back_in_other_groups(runner: Runner, yard: Yard) -> None:
    for number, name in enumerate("bcd"):
        start = 100 * number
        yard.land("rows", f"{name}.parquet", parquet(parcels(*range(start, start + 40)), parcels(9, weight=-1.0)))
    kill_at(runner, yard, "ingest.appended")
    for number, name in enumerate("ac"):  # so many bytes that b and d are in two groups
        keys = range(1000 + 40 * number, 1040 + 40 * number)
        yard.land("rows", f"{name}2.parquet", parquet(parcels(*keys, text=1)))
    runner.ingest(yard)
    assert account(yard)["rows"] == rows(203, 200, quarantined=3)
    assert staged(yard) == []


def test_without_what_was_staged_the_rows_of_the_table_are_told(runner: Runner, yard: Yard) -> None:
    yard.land("rows", "a.parquet", parquet(parcels(*range(40))))
    kill_at(runner, yard, "ingest.appended")
    yard.files.rm(f"{yard.lake}/staged", recursive=True)
    assert runner.ingest(yard) == [("a.parquet", "accept")]
    assert account(yard)["rows"] == rows(40, 40)
    (said,) = reasons(Ledger(yard), "rows", "a.parquet")
    assert said == "its rows were taken in by a process that died; what else it had found was lost"


def test_what_another_version_has_staged_in_words_of_its_own_stops_nobody(runner: Runner, yard: Yard) -> None:
    yard.land("rows", "a.parquet", parquet(parcels(*range(40))))
    kill_at(runner, yard, "ingest.appended")
    for path in staged(yard):
        Path(path).write_text('[{"batch": 1, "says": "accepted"}]')
    assert runner.ingest(yard) == [("a.parquet", "accept")]
    assert staged(yard) == []


def test_the_rows_of_a_duplicate_are_counted_where_its_twin_was_committed_by_a_process_that_died(
    runner: Runner, yard: Yard
) -> None:
    for name in ("a", "b"):
        yard.land("rows", f"{name}.parquet", parquet(parcels(*range(40))))
    kill_at(runner, yard, "ingest.appended")
    assert runner.ingest(yard) == [("a.parquet", "accept"), ("b.parquet", "duplicate")]
    assert account(yard)["rows"] == rows(80, 40, duplicates=40)


def test_half_a_profile_that_a_killed_process_has_left_stops_nobody(runner: Runner, yard: Yard) -> None:
    yard.land("rows", "a.parquet", parquet(parcels(*range(40))))
    runner.ingest(yard)
    profiles = Path(yard.lake) / "profiles" / "yard" / "rows"
    (profiles / ".0123456789abcdef.tmp").write_text("{")
    (profiles / "1.json").write_text('{"in": "the words of another version"}')
    yard.land("rows", "b.parquet", parquet(parcels(*range(100, 140))))
    assert runner.ingest(yard) == [("b.parquet", "accept")]


@pytest.mark.parametrize("point", ["claimed", "judged", "staged", "appended", "recorded", "released"])
@pytest.mark.parametrize("swept", [False, True])
def test_a_release_that_was_killed_can_be_made_again(runner: Runner, yard: Yard, point: str, *, swept: bool) -> None:
    yard.land("rows", "a.parquet", parquet(parcels(*range(40)), parcels(90, 91, 92, weight=40.0)))
    runner.ingest(yard)
    yard.define(max_weight=50)
    kill_at(runner, yard, f"ingest.{point}", "release", kind="rows", number=1)
    if swept:
        runner.ingest(yard)
    ended = runner.run(yard, "release", kind="rows", number=1)
    assert ended.outcomes[-1] == ("a.parquet", "released"), ended
    assert aside(yard, "rows", 1) == {}
    assert account(yard)["rows"] == rows(43, 43)


def test_a_refused_file_can_be_released_again_after_it_was_refused_again(runner: Runner, yard: Yard) -> None:
    yard.land("rows", "a.parquet", parquet(parcels(*range(40), weight=40.0)))
    runner.ingest(yard)
    for _ in range(2):
        assert runner.run(yard, "release", kind="rows", number=1).outcomes[-1] == ("a.parquet", "still refused")
        assert account(yard)["rows"] == rows(40, 0, refused=40)
    yard.define(max_weight=50)
    assert runner.run(yard, "release", kind="rows", number=1).outcomes[-1] == ("a.parquet", "released")
    assert account(yard)["rows"] == rows(40, 40)


# Files that go, come again, or change


def test_a_file_that_was_gone_is_taken_in_when_it_lands_again(runner: Runner, yard: Yard) -> None:
    data = parquet(parcels(*range(40)))
    yard.land("rows", "a.parquet", data)
    kill_at(runner, yard, "ingest.claimed")
    yard.take_away("rows", "a.parquet")
    assert runner.ingest(yard) == [("a.parquet", "refuse")]
    assert aside(yard, "rows", 1) == {}, "there is nothing to release"
    yard.land("rows", "a.parquet", data)
    assert runner.ingest(yard) == [("a.parquet", "accept")]
    assert runner.ingest(yard) == []
    assert account(yard)["rows"] == rows(40, 40)


def test_a_file_that_goes_between_listing_and_reading_is_postponed(runner: Runner, yard: Yard) -> None:
    for name, start in (("a", 0), ("b", 100)):
        yard.land("rows", f"{name}.parquet", parquet(parcels(*range(start, start + 40))))
    pid = runner.stop_at(yard, "ingest.listed")
    yard.take_away("rows", "a.parquet")
    assert runner.go_on(pid).outcomes == [("b.parquet", "accept"), ("ingest", "skipped")]
    assert runner.ingest(yard) == []
    assert account(yard)["rows"] == rows(40, 40)


@pytest.mark.parametrize("kilobytes", [0, 2])
@pytest.mark.parametrize("point", ["listed", "admitted", "claimed", "judged", "sunk", "compared", "staged"])
def test_a_file_that_is_overwritten_while_it_is_read_is_taken_in_as_one_or_the_other(
    runner: Runner, yard: Yard, point: str, kilobytes: int
) -> None:
    old = parquet(parcels(*range(40), text=kilobytes), parcels(90, 91, weight=-1.0))
    new = parquet(parcels(*range(100, 170), text=kilobytes), parcels(92, weight=-1.0))
    yard.land("rows", "a.parquet", old)
    pid = runner.stop_at(yard, f"ingest.{point}")
    yard.land("rows", "a.parquet", new)
    ((subject, outcome),) = runner.go_on(pid).outcomes
    assert (subject, outcome) in [("a.parquet", "quarantine"), ("a.parquet", "refuse"), ("ingest", "skipped")]
    assert runner.ingest(yard) == [("a.parquet", "quarantine")]
    assert runner.ingest(yard) == []
    expected = rows(71, 70, quarantined=1)
    if outcome == "quarantine":
        expected = rows(42 + 71, 40 + 70, quarantined=3)
    assert account(yard)["rows"] == expected
    if outcome == "refuse":  # what was overwritten can come back
        yard.land("rows", "a.parquet", old)
        assert runner.ingest(yard) == [("a.parquet", "quarantine")]


def test_half_an_upload_is_waited_for_and_taken_in_when_it_is_whole(runner: Runner, tmp_path: Path) -> None:
    yard = build(tmp_path / "home", ANDON_SETTLE_SECONDS="60")
    whole = parquet(parcels(*range(40)))
    yard.land("rows", "a.parquet", whole[:1000], whole=False)
    yard.land("rows", "b.parquet", b"", whole=False)
    ended = runner.run(yard, "ingest")
    assert ended.outcomes == [("ingest", "skipped")] * 2
    assert all("it came just now and is looked at again" in reason for _, _, reason in ended.found)
    yard.land("rows", "a.parquet", whole)
    assert runner.ingest(yard) == [("a.parquet", "accept"), ("ingest", "skipped")]
    assert account(yard, pending=["b.parquet"])["rows"] == rows(40, 40)


def test_an_upload_that_was_refused_as_a_half_is_taken_in_when_it_is_whole(runner: Runner, yard: Yard) -> None:
    whole = parquet(parcels(*range(40)))
    yard.land("rows", "a.parquet", whole[:1000])
    yard.land("rows", "empty.parquet", b"")
    assert runner.ingest(yard) == [("a.parquet", "refuse"), ("empty.parquet", "refuse")]
    yard.land("rows", "a.parquet", whole)
    assert runner.ingest(yard) == [("a.parquet", "accept")]
    assert account(yard)["rows"] == rows(40, 40)


@pytest.mark.parametrize("poison", ["aborts", "panics"])
def test_a_file_that_would_bring_the_reader_down_is_refused_and_holds_up_nobody(
    runner: Runner, yard: Yard, poison: str
) -> None:
    """One flipped bit each. Polars (2.1.0) aborts the process for the one, and panics, which is no Exception."""
    yard.land("rows", "a.parquet", parquet(parcels(*range(100, 140))))
    yard.land("rows", "b.parquet", (Path(__file__).parent / "poison" / f"{poison}.parquet").read_bytes())
    yard.land("rows", "c.parquet", parquet(parcels(*range(200, 240))))
    assert runner.ingest(yard) == [("a.parquet", "accept"), ("b.parquet", "refuse"), ("c.parquet", "accept")]
    told = reasons(Ledger(yard), "rows", "b.parquet")[0]
    assert told.startswith("b.parquet is")
    assert told.endswith("; upload it again")
    assert account(yard)["rows"] == rows(80, 80)


# Rows that come again


def test_the_same_bytes_or_the_same_rows_under_another_name_change_nothing(runner: Runner, yard: Yard) -> None:
    yard.land("rows", "a.parquet", parquet(parcels(*range(40))))
    yard.land("labels", "a.parquet", parquet(arrivals(*range(40))))
    yard.land("weather", "a.parquet", parquet(weather(*range(40))))
    runner.ingest(yard)
    yard.land("rows", "same-bytes.parquet", parquet(parcels(*range(40))))
    yard.land("rows", "same-rows.parquet", parquet(parcels(*reversed(range(40)))))
    yard.land("labels", "same-bytes.parquet", parquet(arrivals(*range(40))))
    yard.land("labels", "same-rows.parquet", parquet(arrivals(*reversed(range(40)))))
    yard.land("weather", "same-bytes.parquet", parquet(weather(*range(40))))
    yard.land("weather", "same-rows.parquet", parquet(weather(*reversed(range(40)))))
    assert {outcome for _, outcome in runner.ingest(yard)} == {"duplicate"}
    assert set(account(yard).values()) == {rows(120, 40, duplicates=80)}


@pytest.mark.parametrize(
    ("on_repeat", "outcome", "expected"),
    [
        ("first", "accept", rows(90, 70, duplicates=20)),
        ("last", "accept", rows(90, 80, duplicates=10)),
        ("refuse", "refuse", rows(90, 40, refused=50)),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_corrected_rows_are_treated_by_the_policy(
    runner: Runner, yard: Yard, on_repeat: str, outcome: str, expected: Accounts, *, together: bool
) -> None:
    """Ten rows come again as they were, ten with another weight, thirty are new."""
    yard.define(on_repeat=on_repeat)
    yard.land("rows", "a.parquet", parquet(parcels(*range(40))))
    if not together:
        runner.ingest(yard)
    corrected = parcels(*range(30, 40), weight=29.5)
    yard.land("rows", "b.parquet", parquet(parcels(*range(20, 30)), corrected, parcels(*range(40, 70))))
    assert runner.ingest(yard)[-1] == ("b.parquet", outcome)
    assert account(yard, on_repeat=on_repeat)["rows"] == expected
    again = aside(yard, "rows", 2).get("repeated.parquet")
    assert (again is not None) == (on_repeat == "first"), "changed rows that do not count are kept"


def test_of_files_that_repeat_each_other_only_those_are_refused_that_repeat_what_was_taken(
    runner: Runner, yard: Yard
) -> None:
    yard.define(on_repeat="refuse")
    yard.land("rows", "a.parquet", parquet(parcels(*range(40))))
    yard.land("rows", "b.parquet", parquet(parcels(*range(39, 60))))
    yard.land("rows", "c.parquet", parquet(parcels(*range(50, 70))))
    found = runner.ingest(yard)
    assert found == [("a.parquet", "accept"), ("b.parquet", "refuse"), ("c.parquet", "accept")]
    assert account(yard, on_repeat="refuse")["rows"] == rows(81, 60, refused=21)


def test_rows_that_repeat_a_suspect_batch_are_not_lost_when_it_is_dropped(runner: Runner, yard: Yard) -> None:
    yard.define(on_repeat="first", suspicion="min_rows=20, batches=20, min_batches=8")
    for number in range(10):
        yard.land("rows", f"{number}.parquet", parquet(parcels(*range(40 * number, 40 * number + 40))))
    strange = parcels(*range(1000, 1040), weight=29.0).with_columns(depot=pl.lit("nowhere at all"))
    yard.land("rows", "a-strange.parquet", parquet(strange))
    yard.land("rows", "b-half-of-it.parquet", parquet(strange[:19]))
    found = runner.ingest(yard)
    if ("a-strange.parquet", "suspect") not in found:
        pytest.fail(f"it was not suspected: {found}")
    assert ("b-half-of-it.parquet", "accept") in found
    (number,) = [row["number"] for row in Ledger(yard).of("rows") if row["state"] == "suspect"]
    runner.run(yard, "drop", kind="rows", number=number)
    table = table_rows(yard, "rows")
    accepted = [row["number"] for row in Ledger(yard).of("rows") if row["state"] == "accepted"]
    assert sorted(row[0] for number in accepted for row in table[number]) == [*range(400), *range(1000, 1019)]


def test_labels_that_come_late_twice_or_corrected(runner: Runner, yard: Yard) -> None:
    yard.land("labels", "early.parquet", parquet(arrivals(*range(40))))
    runner.ingest(yard)
    yard.land("labels", "again.parquet", parquet(arrivals(*range(40)), arrivals(40)))
    yard.land("labels", "corrected.parquet", parquet(arrivals(*range(10), minutes=5.0, after=90)))
    yard.land("labels", "other-value.parquet", parquet(arrivals(10, minutes=7.0)))
    yard.land("rows", "late.parquet", parquet(parcels(*range(41))))
    runner.ingest(yard)
    assert account(yard)["labels"] == rows(92, 52, duplicates=40)


def test_thousands_of_small_files_in_one_pass_killed_once(runner: Runner, yard: Yard) -> None:
    for number in range(2_000):
        name, start = f"{number:04}.parquet", 5 * number
        bad = parcels(50_000 + number, weight=-1.0) if number % 100 == 0 else parcels()
        yard.land("rows", name, parquet(parcels(*range(start, start + 6)), bad))
    kill_at(runner, yard, "ingest.appended", limits={}, group=2)
    runner.ingest(yard, limits={})
    assert account(yard)["rows"] == rows(12_020, 10_001, quarantined=20, duplicates=1_999)
    assert staged(yard) == []
