"""A segment: what is appended comes back, a file that is not whole gives a first part of it, and room is real."""

import mmap
import os
import re
import struct
import time
import zlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from modelling.inputs import frame_of
from serving.requests.rows import Rows
from storage.compaction import sync
from storage.entries import head
from storage.log_check import unreadable
from storage.prediction_log import PredictionLog, read_predictions
from storage.segment import SEGMENT_BYTES, Segment, read_logged, read_segment
from tests.unit.test_prediction_log import ends

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "local": pl.Datetime("ms"),
    "fine": pl.Datetime("ns", "UTC"),
    "day": pl.Date(),
    "distance": pl.Float64(),
    "short": pl.Float32(),
    "seats": pl.UInt64(),
    "open": pl.Boolean(),
    "size": pl.Enum(["s", "m"]),
    "carrier": pl.Categorical(),
}
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "id": st.text(st.characters(codec="utf-8")),
    "at": MOMENTS,
    "local": MOMENTS.map(lambda one: one.replace(microsecond=one.microsecond // 1000 * 1000)),
    "fine": MOMENTS,
    "day": st.dates(date(1, 1, 1), date(9999, 12, 31)),
    "distance": st.floats() | st.integers(-(2**53), 2**53),
    "short": st.floats(width=32),
    "seats": st.integers(0, 2**64 - 1),
    "open": st.booleans(),
    "size": st.sampled_from(["s", "m"]),
    "carrier": st.sampled_from(["AA", "BB"]),
}


@st.composite
def requests(draw: st.DrawFn) -> Rows:
    height = draw(st.integers(1, 4))
    columns = [draw(st.lists(st.none() | VALUES[name], min_size=height, max_size=height)) for name in SCHEMA]
    return Rows(columns=columns, height=height)


@settings(max_examples=30, deadline=None)
@given(answered=st.lists(requests(), min_size=1, max_size=4))
def test_plain_values_are_read_back_as_the_frame_of_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, answered: list[Rows]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with PredictionLog(folder, SCHEMA) as log:
        for number, rows in enumerate(answered):
            said = [0.5 + row for row in range(rows.height)]
            assert log.append("7", rows.columns, said, prediction_id=f"{number}", at_us=number)
        (segment,) = folder.glob("*.segment")
        found = read_segment(segment)
    assert found is not None
    assert_frame_equal(
        found.select([*SCHEMA]), pl.concat([frame_of(rows.columns, SCHEMA) for rows in answered]), check_exact=True
    )
    assert found["prediction_id"].to_list() == [
        f"{number}-{row}" for number, rows in enumerate(answered) for row in range(rows.height)
    ]
    assert found["prediction"].to_list() == [0.5 + row for rows in answered for row in range(rows.height)]
    assert found["logged_at"].dt.epoch("us").to_list() == [
        n for n, rows in enumerate(answered) for _ in range(rows.height)
    ]
    (parquet,) = folder.glob("*.parquet")
    assert_frame_equal(pl.read_parquet(parquet).select(found.columns), found, check_exact=True)


def test_a_frame_and_its_plain_values_are_kept_alike(tmp_path: Path) -> None:
    rows = Rows(columns=[["a", None], [NOON, NOON], [NOON] * 2, [NOON] * 2, [date(2013, 1, 1)] * 2, [1, 0.5],
                         [0.5, None], [2**64 - 1, 0], [True, None], ["s", "m"], ["AA", None]], height=2)  # fmt: skip
    frame = frame_of(rows.columns, SCHEMA).with_columns(
        (pl.col("fine") + timedelta(microseconds=1)).cast(SCHEMA["fine"])
    )
    with PredictionLog(tmp_path, SCHEMA) as log:
        log.append("7", rows.columns, [[0.25, 0.75], [0.5, 0.5]], prediction_id="x", at_us=1)
        log.write("7", frame, np.array([[0.25, 0.75], [0.5, 0.5]]), prediction_id="y", at=NOON, first=10)
    found = read_predictions(tmp_path, SCHEMA, key=("prediction_id",), time="at")
    assert found["prediction_id"].to_list() == ["x-0", "x-1", "y-10", "y-11"]
    assert_frame_equal(found.select([*SCHEMA]), pl.concat([frame_of(rows.columns, SCHEMA), frame]))
    assert found["prediction"].to_list() == [[0.25, 0.75], [0.5, 0.5]] * 2


def test_nanoseconds_of_a_frame_are_kept(tmp_path: Path) -> None:
    schema: dict[str, pl.DataType] = {"fine": pl.Datetime("ns", "UTC"), "wait": pl.Duration("ns"), "clock": pl.Time()}
    frame = pl.DataFrame({name: [123_456_789] for name in schema}).cast(dict(schema))  # type: ignore[arg-type]
    with PredictionLog(tmp_path, schema) as log:
        log.write("7", frame, np.zeros(1), prediction_id="x", at=NOON)
    (parquet,) = tmp_path.glob("*.parquet")
    assert_frame_equal(pl.read_parquet(parquet).select([*schema]), frame)


def test_the_file_has_all_its_room_from_the_start_and_what_is_not_used_is_cut_off(tmp_path: Path) -> None:
    """Blocks of its own: nothing is left for a disk to refuse when a row is written."""
    with PredictionLog(tmp_path, {"id": pl.String()}, compacting=False) as log:
        log.append("7", [["a"]], [0.5], prediction_id="x", at_us=1)
        (segment,) = tmp_path.glob("*.segment")
        assert segment.stat().st_blocks * 512 >= SEGMENT_BYTES
    assert segment.stat().st_size < 1_000
    assert read_segment(segment) is not None


def test_a_record_that_has_no_room_left_goes_into_the_next_segment_whatever_its_size(tmp_path: Path) -> None:
    sizes = [SEGMENT_BYTES // 2 - 500, SEGMENT_BYTES // 2 - 500, 10, 3 * SEGMENT_BYTES, 10]
    with PredictionLog(tmp_path, {"id": pl.String()}, compacting=False) as log:
        for number, size in enumerate(sizes):
            assert log.append("7", [["a" * size]], [0.5], prediction_id=f"{number}", at_us=number)
        assert (log.written, log.waiting) == (5, 2)
    found = read_predictions(tmp_path, {"id": pl.String()}, key=("prediction_id",), time="id")
    assert found.sort("logged_at")["id"].str.len_bytes().to_list() == sizes


def test_the_last_record_may_fill_the_segment_to_its_end(tmp_path: Path) -> None:
    segment = Segment(tmp_path, head({"id": pl.String()}))
    left = SEGMENT_BYTES - segment._end - 8

    def entry(size: int) -> bytes:
        return msgspec.msgpack.encode(("x", "7", 1, [0.5], [["a" * size]]))

    overhead = len(entry(left - 1_000)) - (left - 1_000)
    assert not segment.append(entry(left - overhead + 1), rows=1)
    assert segment.append(entry(left - overhead), rows=1)
    assert not segment.append(b"", rows=0)
    found = read_segment(segment.path)
    assert found is not None
    assert found["id"].str.len_bytes().to_list() == [left - overhead]
    segment.close()
    assert segment.path.stat().st_size == SEGMENT_BYTES


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A segment of twenty requests, without the room that was not used."""
    folder = tmp_path_factory.mktemp("whole")
    with PredictionLog(folder, {"id": pl.String(), "x": pl.Float64()}, compacting=False) as log:
        for number in range(20):
            log.append("7", [[f"{number}"], [number / 7]], [0.5], prediction_id=f"{number}", at_us=number)
    (segment,) = folder.glob("*.segment")
    return segment.read_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_of_a_damaged_segment_a_first_part_is_read_and_never_anything_else(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    """Cut, zeroed from somewhere on, a page that never reached the disk, or a flipped byte."""
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    match data.draw(st.sampled_from(["cut", "zeros", "hole", "flip"])):
        case "cut":
            del damaged[place:]
        case "zeros":
            damaged[place:] = bytes(len(whole) - place)
        case "hole":
            damaged[place : place + 50] = bytes(len(damaged[place : place + 50]))
        case "flip":
            damaged[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "1-dead.segment"
    path.write_bytes(damaged)
    found = read_segment(path)
    ids = [] if found is None else found["id"].to_list()
    assert ids == [f"{number}" for number in range(len(ids))]
    before = sum(end <= place for end in ends(whole)) - 1  # the first record is the head
    assert len(ids) >= before, "what lies before the damage is there"


def test_a_segment_that_an_earlier_andon_left_behind_is_read_and_compacted(tmp_path: Path) -> None:
    """Format of 2026-10: the schema alone as first record, moments as physical numbers, no room at the end."""
    schema = {"id": pl.String(), "at": pl.Datetime("us", "UTC"), "day": pl.Date(), "size": pl.Enum(["s", "m"])}
    names = pl.DataFrame(schema=schema).write_ipc_stream(None).getvalue()
    entry = msgspec.msgpack.encode(
        ["x", "7", 1_357_041_600_000_000, [0.5, 0.25], [["a", "b"], [1, 2], [3, None], ["s", "m"]]]
    )
    records = [struct.pack("<II", len(one), zlib.crc32(one)) + one for one in (names, entry)]
    old = tmp_path / "1-dead.segment"
    old.write_bytes(b"".join(records) + b"torn")
    expected = pl.DataFrame(
        {
            "prediction_id": ["x-0", "x-1"],
            "version": ["7", "7"],
            "logged_at": [NOON, NOON],
            "prediction": [0.5, 0.25],
            "id": ["a", "b"],
            "at": [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=tick) for tick in (1, 2)],
            "day": [date(1970, 1, 4), None],
            "size": ["s", "m"],
        },
        schema_overrides={"logged_at": pl.Datetime("us", "UTC"), **schema},
    )
    found = read_logged(old)
    assert found is not None
    assert (found.share, found.masked) == (1.0, frozenset())
    assert_frame_equal(found.rows, expected)
    assert list(unreadable([old])) == []
    with PredictionLog(tmp_path, schema) as log:
        assert log.waiting <= 1
    assert [path.name for path in tmp_path.iterdir()] == ["1-dead.parquet"]
    assert_frame_equal(pl.read_parquet(tmp_path / "1-dead.parquet"), expected)


def test_values_that_cannot_be_kept_are_dropped_and_counted(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, {"id": pl.String()}) as log:
        assert not log.append("7", [[object()]], [0.5], prediction_id="x", at_us=1)
        assert not log.append("7", [["\ud800"]], [0.5], prediction_id="x", at_us=1)
        assert log.append("7", [["a"]], [0.5], prediction_id="y", at_us=1)
        assert (log.written, log.dropped) == (1, 2)


def test_an_append_costs_ten_microseconds_of_cpu_at_most(tmp_path: Path) -> None:
    """One row of 24 numbers and 6 strings; 2.2 us where it was written. The best of five: others may be busy."""
    schema = {**{f"x{n}": pl.Float64() for n in range(24)}, **{f"s{n}": pl.String() for n in range(6)}}
    row = [[n / 7] for n in range(24)] + [["N12345"]] * 6
    with PredictionLog(tmp_path, schema, compacting=False) as log:
        spent = []
        for _ in range(5):
            began = time.thread_time()
            for number in range(2_000):
                log.append("7", row, [0.5], prediction_id="a" * 32, at_us=number)
            spent.append((time.thread_time() - began) / 2_000)
    assert min(spent) <= 10e-6


def dirty_bytes(path: Path) -> int:
    """Of this process's mapping of the file: what the disk does not have yet."""
    maps = Path("/proc/self/smaps").read_text()
    (mine,) = re.findall(rf"{re.escape(str(path))}\n((?:[A-Za-z_]+:.*\n)+)", maps)
    return sum(int(size) for size in re.findall(r"(?:Shared|Private)_Dirty: +(\d+) kB", mine)) * 1024


def on_a_disk(folder: Path) -> bool:
    """What lies in memory is never brought anywhere, and stays dirty."""
    path = folder / "trial"
    path.write_bytes(bytes(4096))
    with path.open("rb+") as file, mmap.mmap(file.fileno(), 4096) as mapped:
        mapped[0] = 1
        assert dirty_bytes(path) > 0
        os.fsync(file.fileno())
        return dirty_bytes(path) == 0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_what_is_mapped_is_on_the_disk_after_a_sync_by_others(tmp_path: Path) -> None:
    if not on_a_disk(tmp_path):
        pytest.skip("the folder for temporary files lies in memory")
    with PredictionLog(tmp_path, {"id": pl.String()}, compacting=False) as log:
        for number in range(100):
            log.append("7", [["a" * 1_000]], [0.5], prediction_id=f"{number}", at_us=number)
        (segment,) = tmp_path.glob("*.segment")
        assert dirty_bytes(segment) >= 100_000
        sync(tmp_path)
        assert dirty_bytes(segment) == 0
        log.append("7", [["b"]], [0.5], prediction_id="y", at_us=1)
        assert 0 < dirty_bytes(segment) <= 8192
