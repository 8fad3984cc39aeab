"""Markers: a table never forgets which batches it holds, and tells it of thousands at once."""

import os
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.address import Address
from storage.markers import markers_in
from storage.remote import Remote
from storage.tables import append, committed, maintain

LOCAL = Remote()
ROWS = pl.LazyFrame({"key": ["a"], "_batch": [1]})


def add(table: Path, *markers: str) -> bool:
    return append(Address.of(table), ROWS, markers=markers, remote=LOCAL, work=table.parent)


def told(table: Path, markers: list[str]) -> frozenset[str]:
    return committed(Address.of(table), markers, LOCAL)


def one_by_one(table: Path, markers: list[str]) -> frozenset[str]:
    """What delta-rs itself says."""
    handle = DeltaTable(table)
    return frozenset(marker for marker in markers if handle.transaction_version(marker) is not None)


def fill(table: Path, commits: int) -> list[str]:
    """Commits with two markers each; returns all of them, and as many that were never committed."""
    names = [(f"flights/rows/{2 * number}", f"flights/rows/{2 * number + 1}") for number in range(commits)]
    for pair in names:
        add(table, *pair)
    return [name for pair in names for name in pair] + [f"bikes/rows/{number}" for number in range(2 * commits)]


@pytest.mark.parametrize("commits", [3, 19, 20, 45])
def test_many_markers_are_told_as_delta_would_tell_each(tmp_path: Path, commits: int) -> None:
    """Before the first checkpoint, which is the 20th version, at it, and after two."""
    table = tmp_path / "flights"
    markers = fill(table, commits)
    assert told(table, markers) == one_by_one(table, markers) == frozenset(markers[: 2 * commits])


def test_markers_outlive_compaction_vacuum_and_the_clean_up_of_the_log(tmp_path: Path) -> None:
    table = tmp_path / "flights"
    markers = fill(table, 45)
    maintain(Address.of(table), LOCAL, work=tmp_path, min_files=2, retention=timedelta(0))
    DeltaTable(table).create_checkpoint()
    for entry in (table / "_delta_log").iterdir():
        os.utime(entry, (time.time() - 90 * 86_400,) * 2)
    DeltaTable(table).cleanup_metadata()
    assert not (table / "_delta_log" / f"{5:020}.json").exists()
    assert told(table, markers) == one_by_one(table, markers) == frozenset(markers[:90])
    assert not add(table, *markers[:90])
    assert add(table, "flights/rows/90")


def test_a_log_that_another_tool_has_tidied_up_in_its_own_way_is_asked_marker_by_marker(tmp_path: Path) -> None:
    """Here a checkpoint in parts, and nothing before it: only delta-rs knows how to read that."""
    table = tmp_path / "flights"
    markers = fill(table, 25)
    log = table / "_delta_log"
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    checkpoint.rename(log / checkpoint.name.replace("checkpoint", f"checkpoint.{1:010}.{1:010}"))
    pointer = log / "_last_checkpoint"
    pointer.write_text(pointer.read_text().replace('"version"', '"parts":1,"version"'))
    for number in range(int(checkpoint.name[:20])):
        (log / f"{number:020}.json").unlink()
    assert told(table, markers) == one_by_one(table, markers) == frozenset(markers[:50])


def test_a_handle_tells_what_was_committed_when_it_was_opened(tmp_path: Path) -> None:
    """Else a twin that commits in between would not be noticed by the commit on that handle."""
    table = tmp_path / "flights"
    markers = fill(table, 3)
    handle = DeltaTable(table)
    add(table, "flights/rows/6")
    assert markers_in(handle, Address.of(table), [*markers, "flights/rows/6"], LOCAL) == frozenset(markers[:6])


@settings(deadline=None, max_examples=30)
@given(names=st.lists(st.text(min_size=1), min_size=5, max_size=8, unique=True))
def test_any_text_can_be_a_marker(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    table = tmp_path_factory.mktemp("any") / "table"
    add(table, *names[1:])
    assert told(table, names) == frozenset(names[1:])
