"""Frames that lie in files are frames as others are, and hardly any memory is theirs."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from modelling import mapped
from modelling.disk import NoRoomError
from modelling.isolation import Limits, isolated
from modelling.mapped import at, kept, on_disk
from tests.disks import mounted
from tests.unit import isolation_jobs as jobs

FRAME = pl.DataFrame(
    {
        "row": range(6),
        "stop": ["a", None, "west", "a stop whose name is longer than twelve letters", "", "ä"],
        "wind": [1.5, None, float("nan"), float("inf"), -0.0, 2.0],
        "late": [True, None, False, True, True, False],
        "day": [date(2024, 1, 1), None, *[date(2024, 1, 2)] * 4],
        "at": [datetime(2024, 1, 1, tzinfo=UTC), None, *[datetime(2024, 1, 2, tzinfo=UTC)] * 4],
        "wait": [timedelta(hours=1), None, *[timedelta(0)] * 4],
        "nothing": [None] * 6,
    }
).with_columns(
    kind=pl.col("stop").cast(pl.Categorical()),
    line=pl.Series(["b", "a", None, "a", "b", "b"], dtype=pl.Enum(["b", "a"])),
    small=pl.col("row").cast(pl.Int8),
    naive=pl.col("at").dt.replace_time_zone(None).dt.cast_time_unit("ms"),
)


def address(frame: pl.DataFrame) -> int:
    """Where the first value of the column "row" lies."""
    values = frame["row"].to_arrow()
    return int(values.buffers()[1].address) + 8 * int(values.offset)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any frame is a large one."""
    monkeypatch.setattr(mapped, "LEAST_BYTES", 0)


@pytest.mark.usefixtures("large")
def test_what_lies_on_disk_has_the_same_values_and_types_and_its_file_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = on_disk(FRAME)
    assert list(tmp_path.iterdir()) == []
    assert found is not FRAME
    assert_frame_equal(found, FRAME)
    assert found.schema == FRAME.schema


def test_what_is_small_stays_where_it_is() -> None:
    assert on_disk(FRAME) is FRAME


@pytest.mark.usefixtures("large")
def test_a_full_disk_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mounted(tmp_path / "disk", size="64k") as place:
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with pytest.raises(NoRoomError, match=rf"^no room left in {place}; free some, or set TMPDIR$"):
            on_disk(pl.DataFrame({"wind": np.arange(100_000.0)}))
        assert list(place.iterdir()) == []


@pytest.mark.parametrize("least", [0, 2**26])
@given(marks=st.lists(st.sampled_from([True, False, None]), max_size=200))
def test_chosen_rows_are_those_of_a_filter(least: int, marks: list[bool | None]) -> None:
    frame, chosen = pl.DataFrame({"row": range(len(marks))}), pl.Series(marks, dtype=pl.Boolean)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "LEAST_BYTES", least)
        assert_frame_equal(kept(frame, chosen), frame.filter(chosen))


@pytest.mark.usefixtures("large")
def test_a_stretch_of_rows_is_not_copied() -> None:
    frame = pl.DataFrame({"row": range(1_000)})
    assert address(kept(frame, frame["row"].is_between(10, 500))) == address(frame) + 80
    apart = kept(frame, (frame["row"] < 5) | (frame["row"] >= 900))
    assert address(apart.slice(5)) == address(frame) + 7_200
    assert address(at(frame, np.arange(10, 20))) == address(frame) + 80


@pytest.mark.parametrize("positions", [[], [3], [2, 3, 4], [0, 2, 5]])
def test_rows_at_positions_are_those_of_an_index(positions: list[int]) -> None:
    asked = np.array(positions, dtype=np.int64)
    assert_frame_equal(at(FRAME, asked), FRAME[asked])


def test_a_training_process_holds_few_bytes_of_a_large_frame_and_no_library_more() -> None:
    frame = pl.DataFrame({f"x{number}": np.arange(1_000_000.0) for number in range(9)})
    assert frame.estimated_size() > mapped.LEAST_BYTES
    total, held_mb, loaded = isolated(jobs.held, frame, limits=Limits(seconds=60))
    assert total == pytest.approx(9 * 999_999 * 500_000)
    assert held_mb < 72  # the frame alone; with all else it would be 114
    assert loaded == set()
