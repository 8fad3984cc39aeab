"""Upkeep: fewer files, the same rows, and nothing taken away that a reader or a writer needs."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from storage.address import Address
from storage.remote import Remote
from storage.tables import Maintained, append, committed, maintain, newest, scan
from storage.upkeep import compact
from validation.errors import ContractError, DefinitionError

LOCAL = Remote()
START = datetime(2013, 4, 8, tzinfo=UTC)
WEEK = timedelta(days=7)


def batch(number: int) -> pl.DataFrame:
    """Two rows: a key of its own, and a further version of one that all batches have."""
    known_at = START + timedelta(days=number)
    return pl.DataFrame({"key": [f"k{number}", "all"], "n": [number, number]}).with_columns(
        pl.lit(number, pl.Int64).alias("_batch"), pl.lit(known_at, pl.Datetime("us", "UTC")).alias("_known_at")
    )


@pytest.fixture
def place(tmp_path: Path) -> Address:
    return Address.of(tmp_path / "flights")


def add(place: Address, *numbers: int) -> None:
    for number in numbers:
        markers = [f"flights/{number}"]
        append(place, batch(number).lazy(), markers=markers, remote=LOCAL, work=place.path.parent)


def keep(place: Address, *, min_files: int = 2, retention: timedelta = WEEK) -> Maintained:
    return maintain(place, LOCAL, work=place.path.parent, min_files=min_files, retention=retention)


def rows(place: Address) -> pl.DataFrame:
    found = scan(place, LOCAL)
    assert found is not None
    return found.sort("_batch", "key").collect()


def files(place: Address) -> set[str]:
    return {path.name for path in place.path.glob("*.parquet")}


def test_a_table_that_is_not_there_needs_no_upkeep(place: Address) -> None:
    assert keep(place) == Maintained(compacted=0, into=0, deleted=0)


def test_many_small_files_become_one_with_the_same_rows_and_snapshots(place: Address) -> None:
    add(place, *range(40))
    table = scan(place, LOCAL)
    assert table is not None
    asked = {"key": ["key"], "accepted": range(0, 40, 2), "as_known_at": START + timedelta(days=21)}
    rows_before, snapshot = rows(place), newest(table, **asked).sort("key").collect()  # type: ignore[arg-type]
    assert keep(place) == Maintained(compacted=40, into=1, deleted=0)
    assert len(DeltaTable(place.path).file_uris()) == 1
    assert rows(place).equals(rows_before)
    table = scan(place, LOCAL)
    assert table is not None
    assert newest(table, **asked).sort("key").collect().equals(snapshot)  # type: ignore[arg-type]
    assert keep(place) == Maintained(compacted=0, into=0, deleted=0)


def test_few_files_are_left_as_they_are(place: Address) -> None:
    add(place, 1, 2)
    assert keep(place, min_files=3) == Maintained()
    assert keep(place, min_files=2) == Maintained(compacted=2, into=1)


def test_a_reader_that_began_before_the_upkeep_reads_on(place: Address) -> None:
    add(place, 1, 2, 3)
    reader = scan(place, LOCAL)
    assert reader is not None
    keep(place)
    assert reader.collect().height == 6


def test_files_are_deleted_when_no_commit_has_named_them_for_the_retention(place: Address) -> None:
    """Of files that were left behind by a killed writer those that are old, whether the log knew them or not."""
    add(place, 1, 2, 3)
    named = files(place)
    for name, age_days in (("part-old.parquet", 8), ("part-new.parquet", 6)):
        (place.path / name).write_bytes(b"orphan")
        os.utime(place.path / name, (time.time() - age_days * 86_400,) * 2)
    assert keep(place) == Maintained(compacted=3, into=1, deleted=1)
    assert files(place) > named | {"part-new.parquet"}
    assert keep(place, retention=timedelta(0)) == Maintained(deleted=4)
    assert len(files(place)) == 1
    assert rows(place).height == 6


@pytest.mark.parametrize(("min_files", "retention"), [(1, WEEK), (2, timedelta(seconds=-1))])
def test_settings_that_make_no_sense_are_refused(place: Address, min_files: int, retention: timedelta) -> None:
    with pytest.raises(DefinitionError, match="min_files must be 2 or more and retention not negative, got"):
        keep(place, min_files=min_files, retention=retention)


def test_of_two_compactions_of_the_same_files_one_counts(place: Address, tmp_path: Path) -> None:
    """Each time. NOTE: with delta-rs' own, both would commit, and each row would be there twice."""
    for numbers in ((1, 2, 3), (4, 5, 6)):
        add(place, *numbers)
        before, late = rows(place), DeltaTable(place.path)
        assert keep(place).into == 1
        assert compact(late, place, LOCAL, work=tmp_path, min_files=2) == (0, 0)
        assert rows(place).equals(before)


def test_an_append_during_a_compaction_is_neither_lost_nor_refused(place: Address, tmp_path: Path) -> None:
    add(place, 1, 2, 3)
    late = DeltaTable(place.path)
    add(place, 4)
    assert compact(late, place, LOCAL, work=tmp_path, min_files=2) == (3, 1)
    assert rows(place)["key"].to_list() == ["all", "k1", "all", "k2", "all", "k3", "all", "k4"]
    assert committed(place, ["flights/4", "flights/5"], LOCAL) == {"flights/4"}


def test_appends_compactions_and_readers_at_once_see_whole_batches_and_lose_none(
    place: Address, tmp_path: Path
) -> None:
    """Three writers and two compacting threads; a reader meets each batch wholly or not at all."""
    add(place, 0)
    done = threading.Event()
    heights: list[int] = []

    def maintains() -> None:
        while not done.is_set():
            maintain(place, LOCAL, work=tmp_path, min_files=2)

    def reads() -> None:
        while not done.is_set():
            heights.append(rows(place).height)

    writers = [threading.Thread(target=add, args=(place, *range(start, 31, 3))) for start in (1, 2, 3)]
    others = [threading.Thread(target=act) for act in (maintains, maintains, reads)]
    for thread in writers + others:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    assert rows(place).equals(pl.concat(batch(number) for number in range(31)).sort("_batch", "key"))
    assert heights == sorted(heights)
    assert {height % 2 for height in heights} == {0}


def test_files_that_hold_fewer_rows_than_the_log_says_are_told_and_nothing_is_committed(place: Address) -> None:
    add(place, 1, 2)
    damaged = min(place.path.glob("*.parquet"))
    batch(1).head(1).write_parquet(damaged)
    version = DeltaTable(place.path).version()
    with pytest.raises(ContractError, match="its files hold 3 rows where its log tells of 4; restore them from a back"):
        keep(place)
    assert DeltaTable(place.path).version() == version


def test_a_table_that_another_tool_has_cut_into_partitions_is_not_rewritten(place: Address) -> None:
    for number in (1, 2):
        batch(number).write_delta(str(place), mode="append", delta_write_options={"partition_by": ["key"]})
    assert keep(place) == Maintained()
