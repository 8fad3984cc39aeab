"""Taking a pipeline's snapshot: which batches counted at a moment, and the same again from its description."""

from dataclasses import replace
from pathlib import Path

import pytest

from andon.settings import Settings
from registry.memory import MemoryLedger
from storage.lake import Lake as Places
from storage.snapshot import Snapshot
from tasks.descriptions import describe, differences, find_description
from tasks.site import Site
from tasks.taking import question, take, take_again, why_nothing
from tests.fakes import FolderStore
from tests.unit.definitions import define
from tests.unit.lake_world import End, Lake, Seen, Trip, day
from tests.unit.test_lookup_definition import lookup
from validation.errors import ContractError, DefinitionError


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    site = Site(
        pipeline=define(),
        settings=Settings(home=tmp_path),
        ledger=MemoryLedger(),
        store=FolderStore(tmp_path / "store"),
        lake=Places(tmp_path / "lake"),
        actor="test",
    )
    return Lake(site=site, work=tmp_path)


def taken(lake: Lake, as_of: float, *, as_known_at: float | None = None) -> Snapshot | None:
    known_at = None if as_known_at is None else day(as_known_at)
    return take(lake.site, question(lake.site, day(as_of), as_known_at=known_at))


def keys(snapshot: Snapshot | None) -> list[str]:
    return [] if snapshot is None else snapshot.rows["trip_id"].to_list()


def why(lake: Lake, as_of: float) -> str:
    return why_nothing(lake.site, question(lake.site, day(as_of)))


def test_batches_that_were_known_count_and_no_others(lake: Lake) -> None:
    lake.trips(Trip("a", day(0)), came=day(1))
    lake.trips(Trip("b", day(0)), came=day(2), state="suspect")
    lake.trips(Trip("c", day(0)), came=day(3))
    lake.trips(Trip("a", day(0), distance=9.0), came=day(4))
    lake.ends(*(End(key, late=True, known_at=day(1)) for key in "abc"), came=day(1))
    early, later = taken(lake, 3.5), taken(lake, 4)
    assert early is not None
    assert later is not None
    assert (keys(early), early.question.batches) == (["a", "c"], {"rows": (1, 3), "labels": (1,)})
    assert early.rows.columns == ["trip_id", "started_at", "distance", "zone", "late"]
    assert (later.rows["distance"].to_list(), later.batch.to_list()) == ([9.0, 1.0], [4, 3])
    assert keys(taken(lake, 9, as_known_at=1)) == ["a"]


def test_a_released_batch_counts_from_its_release_on(lake: Lake) -> None:
    lake.trips(Trip("a", day(0)), came=day(1))
    lake.trips(Trip("b", day(0)), came=day(2), state="suspect")
    lake.ends(End("a", late=True, known_at=day(1)), End("b", late=False, known_at=day(1)), came=day(1))
    before = taken(lake, 5)
    lake.release(2, at=day(6))
    again = taken(lake, 5)
    assert before is not None
    assert again is not None
    assert (again.id, keys(again), keys(taken(lake, 6))) == (before.id, ["a"], ["a", "b"])


def test_what_was_described_is_taken_again_though_more_has_come(lake: Lake) -> None:
    lake.trips(Trip("a", day(0)), Trip("b", day(1)), Trip("c", day(1)), came=day(2))
    lake.ends(End("a", late=True, known_at=day(1)), came=day(2))
    lake.ends(End("b", late=True, known_at=day(2)), came=day(3))
    first = lake.learn("1", as_of=day(4))
    assert (first.rows, first.unlabelled, first.missing, first.coverage) == (2, 1, 0, 2 / 3)
    assert (first.since, first.until, first.batches) == (day(0), day(1), {"rows": "1", "labels": "1-2"})
    assert (first.as_of, first.as_known_at) == (day(4), day(4))
    assert (first.matures_after_seconds, first.grace_seconds) == (86_400.0, 604_800.0)

    lake.trips(Trip("a", day(0), distance=7.0), Trip("d", day(0)), came=day(4.5))
    lake.ends(End("a", late=False, known_at=day(3)), End("d", late=True, known_at=day(1)), came=day(5))
    second = lake.learn("2", as_of=day(6))
    again = take_again(lake.site, find_description(lake.site, "1", is_version=True))

    assert again is not None
    assert describe(lake.site, again) == first
    assert differences(first, describe(lake.site, again)) == ()
    assert differences(first, second) == ("rows: 2 then, 3 now",)
    other = replace(first, digest="another", columns={**first.columns, "zone": "another"})
    assert differences(first, other) == ("other values: zone",)
    fewer = replace(other, columns={"zone": first.columns["zone"]})
    assert differences(first, fewer) == ("columns that are gone: trip_id, started_at, distance, late",)


def test_what_is_looked_up_belongs_to_the_snapshot_and_a_late_correction_does_not(lake: Lake) -> None:
    looking = Lake(site=replace(lake.site, pipeline=define(lookups=(lookup(columns=("temp",)),))), work=lake.work)
    looking.weather(Seen("north", day(-0.5), temp=5.0), came=day(0))
    looking.trips(Trip("a", day(0)), Trip("b", day(0), zone="south"), came=day(1))
    looking.ends(*(End(key, late=True, known_at=day(1)) for key in "ab"), came=day(1))
    first = looking.learn("1", as_of=day(3))
    looking.weather(Seen("north", day(-0.5), temp=9.0), Seen("south", day(-0.5), temp=7.0), came=day(4))
    now, again = taken(looking, 5), take_again(looking.site, first)
    assert now is not None
    assert again is not None
    assert now.rows.columns == ["trip_id", "started_at", "distance", "zone", "temp", "late"]
    assert now.rows["temp"].to_list() == [5.0, None]
    assert (now.question.batches["weather"], first.batches["weather"]) == ((1, 2), "1")
    assert (now.id, describe(looking.site, again)) == (first.id, first)

    alone = take_again(lake.site, first)  # the lookup was taken out of the definition
    assert alone is not None
    assert differences(first, describe(lake.site, alone)) == ("columns that are gone: temp",)


def test_a_snapshot_is_recorded_once(lake: Lake) -> None:
    lake.trips(Trip("a", day(0)), Trip("b", day(0)), came=day(1))
    lake.ends(End("a", late=True, known_at=day(1)), came=day(1))
    description = lake.learn("1", as_of=day(2))
    assert lake.learn("2", as_of=day(3)).id == description.id
    (recorded,) = lake.site.ledger.verdicts("trips", kind="snapshot")
    assert (recorded.subject, recorded.outcome, recorded.data_time) == (description.id, "taken", day(2))
    told = "1 rows of 1 batches from 2013-04-01 00:00 to 2013-04-01 00:00; mature without a label: 1"
    assert recorded.reasons == (told,)
    assert find_description(lake.site, description.id) == description


def test_a_snapshot_is_found_by_the_beginning_of_its_id_or_by_a_version(lake: Lake) -> None:
    lake.trips(Trip("a", day(0)), came=day(1))
    with pytest.raises(DefinitionError, match="no recorded snapshot '1'; no retrain has taken one yet"):
        find_description(lake.site, "1")
    lake.ends(End("a", late=True, known_at=day(1)), came=day(1))
    first = lake.learn("1", as_of=day(2))
    lake.ends(End("a", late=False, known_at=day(2)), came=day(3))
    second = lake.learn("2", as_of=day(4))
    assert find_description(lake.site, first.id[:9]) == first
    assert find_description(lake.site, "2") == find_description(lake.site, "2", is_version=True) == second
    with pytest.raises(
        DefinitionError, match=r"no recorded snapshot 'zebra'; the newest are \w{12} \(2013-04-03\), \w"
    ):
        find_description(lake.site, "zebra")
    with pytest.raises(DefinitionError, match="trips has no version '3'; see: andon history trips"):
        find_description(lake.site, "3", is_version=True)
    with pytest.raises(DefinitionError, match=r"'' begins 2 snapshots: .* give more of it"):
        find_description(lake.site, "")


def test_why_there_is_nothing_to_learn_from(lake: Lake) -> None:
    nothing = "no accepted row has a mature label yet; land batches and labels, then: andon ingest trips"
    assert (taken(lake, 9), why(lake, 9)) == (None, nothing)
    lake.trips(Trip("a", day(0)), Trip("b", day(0)), came=day(5))
    lake.trips(Trip("c", day(0)), came=day(6))
    assert (taken(lake, 4), why(lake, 4).split(";")[0]) == (
        None,
        "no row was known at 2013-04-05 00:00: 3 rows are known only since 2013-04-06 00:00, when they were taken in",
    )
    assert why(lake, 5) == nothing
    lake.ends(End("a", late=True, known_at=day(1)), came=day(7))
    told = why(lake, 6)
    assert told.startswith("no label was known at 2013-04-07 00:00: 1 labels are known only since 2013-04-08 00:00")
    assert told.endswith("to replay the past, take files in as of then: andon ingest trips --as-of MOMENT")
    assert keys(taken(lake, 7)) == ["a"]


def test_labels_without_rows_are_not_what_is_missing(lake: Lake) -> None:
    lake.ends(End("a", late=True, known_at=day(1)), came=day(7))
    assert why(lake, 6) == "no accepted row has a mature label yet; land batches and labels, then: andon ingest trips"


def test_rows_of_a_released_batch_are_known_only_since_then(lake: Lake) -> None:
    lake.trips(Trip("a", day(0)), came=day(1), state="suspect")
    lake.release(1, at=day(6))
    assert "1 rows are known only since 2013-04-07 00:00" in why(lake, 5)


def test_a_column_that_the_contract_has_gained_is_told(lake: Lake) -> None:
    import pandera.polars as pa

    lake.trips(Trip("a", day(0)), came=day(1))
    wider = define().contract.to_schema().add_columns({"wind": pa.Column(float)})
    site = replace(lake.site, pipeline=define(contract=wider))
    with pytest.raises(ContractError, match="have no column wind, which the contract asks for: take it out"):
        take(site, question(site, day(3)))
