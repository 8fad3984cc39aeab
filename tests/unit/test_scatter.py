"""Rows in no order: each partition is read as a filtered scan would read it, and nothing is left on the disk."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import storage.scatter
from storage.partitions import cut, within
from storage.scatter import is_scattered, scattered

BEGIN = datetime(2013, 4, 1, tzinfo=UTC)
ROWS = 3_000


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.scatter, "_CHUNK", 100)


def rows(*, in_order: bool) -> pl.DataFrame:
    seconds = pl.Series("second", range(ROWS))
    frame = pl.DataFrame(
        {
            "id": range(ROWS),
            "at": [BEGIN + timedelta(seconds=min(second, 2_000)) for second in seconds],  # 1,000 at one moment
            "text": [None if second % 5 else f"text {second}" for second in seconds],
        },
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    return frame if in_order else frame.sample(fraction=1, shuffle=True, seed=3)


def test_rows_in_order_are_scanned_and_others_are_scattered() -> None:
    for in_order in (True, False):
        found = rows(in_order=in_order).lazy()
        parts = cut(found.filter(pl.col("id") < 2_000), time="at", key=("id",), at_most=300)
        assert is_scattered(found, parts, time="at") == (not in_order)


def test_each_partition_has_its_rows_and_afterwards_nothing_is_left(tmp_path: Path) -> None:
    table = rows(in_order=False)
    parts = cut(table.lazy(), time="at", key=("id",), at_most=300)
    assert max(part.pieces for part in parts) == 4
    wanted = {number: part for number, part in enumerate(parts) if number != 1}
    folder = tmp_path / "scatter"
    with scattered(table.lazy(), wanted, time="at", key=("id",), folder=folder) as read:
        for number, part in wanted.items():
            expected = table.filter(within(part, time="at", key=("id",))).sort("id")
            assert read(number).sort("id").equals(expected)
    assert list(tmp_path.iterdir()) == []


def test_no_rows_are_no_rows(tmp_path: Path) -> None:
    table = rows(in_order=False).clear()
    (part,) = cut(rows(in_order=True).head(1).lazy(), time="at", key=("id",), at_most=300)
    with scattered(table.lazy(), {0: part}, time="at", key=("id",), folder=tmp_path / "scatter") as read:
        assert read(0).equals(table)
    assert not is_scattered(table.lazy(), (part,), time="at")
