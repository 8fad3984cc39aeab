import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from storage.prediction_log import PredictionLog, compact, find_predictions, read_predictions
from storage.segment import SEGMENT_BYTES

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "day": pl.Date(),
    "distance": pl.Float64(),
    "seats": pl.UInt64(),
    "open": pl.Boolean(),
    "size": pl.Enum(["s", "m"]),
    "carrier": pl.Categorical(),
}


def rows(*ids: str, at: datetime = NOON, distance: float | None = 1.5) -> pl.DataFrame:
    return pl.DataFrame(
        [(one, at, date(2013, 1, 1), distance, 2**64 - 1, None, "m", "AA") for one in ids], schema=SCHEMA, orient="row"
    )


def read(folder: Path, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
    return read_predictions(folder, SCHEMA, key=("id",), time="at", since=since, until=until)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.segment"))


def test_rows_are_read_back_as_they_were_from_the_segment_and_from_parquet(tmp_path: Path) -> None:
    raw = pl.concat([rows("a", distance=float("nan")), rows("b", distance=None)])
    expected = pl.DataFrame(
        {
            "prediction_id": ["x-0", "x-1"],
            "version": ["7", "7"],
            "logged_at": [NOON + timedelta(microseconds=1)] * 2,
            "prediction": [0.1, 1e-17],
        },
        schema_overrides={"logged_at": pl.Datetime("us", "UTC")},
    ).hstack(raw)
    with PredictionLog(tmp_path, SCHEMA) as log:
        moment = NOON + timedelta(microseconds=1)
        assert log.write("7", raw, np.array([0.1, 1e-17]), prediction_id="x", at=moment)
        assert_frame_equal(read(tmp_path), expected, check_exact=True)
        assert (log.written, log.dropped, len(segments(tmp_path))) == (2, 0, 1)
    assert segments(tmp_path) == []
    assert_frame_equal(read(tmp_path), expected, check_exact=True)


def test_the_empty_log_is_an_empty_frame_of_the_right_types(tmp_path: Path) -> None:
    found = read(tmp_path / "none")
    assert found.height == 0
    assert list(found.columns) == ["prediction_id", "version", "logged_at", "prediction", *SCHEMA]
    assert {name: found.schema[name] for name in SCHEMA} == SCHEMA
    with PredictionLog(tmp_path, SCHEMA):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_first_prediction_of_a_key_counts_whoever_wrote_it(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA) as batch, PredictionLog(tmp_path, SCHEMA) as scorer:
        batch.write("2", rows("a", "b"), np.array([0.2, 0.2]), prediction_id="late", at=NOON + timedelta(seconds=1))
        scorer.write("1", rows("b"), np.array([0.1]), prediction_id="early", at=NOON)
    assert read(tmp_path).select("id", "version", "prediction_id").rows() == [
        ("a", "2", "late-0"),
        ("b", "1", "early-0"),
    ]


def test_a_prediction_is_found_by_its_id_and_a_request_with_all_its_rows(tmp_path: Path) -> None:
    """In segments and in Parquet; of a row that was logged again, after a crash, the first one."""
    many = rows(*(f"{number:02}" for number in range(12)))
    for minutes in (5, 0):
        with PredictionLog(tmp_path, SCHEMA) as log:
            assert log.write("7", many, np.full(12, minutes), prediction_id="x-1", at=NOON + timedelta(minutes=minutes))
    with PredictionLog(tmp_path, SCHEMA) as log:
        assert log.write("7", rows("a"), np.array([0.5]), prediction_id="x-11", at=NOON)
        (found,) = find_predictions(tmp_path, "x-1-10")
        assert (found["prediction_id"], found["id"], found["prediction"]) == ("x-1-10", "10", 0.0)
        assert [row["id"] for row in find_predictions(tmp_path, "x-1")] == [f"{number:02}" for number in range(12)]
        assert [row["id"] for row in find_predictions(tmp_path, "x-11")] == ["a"]
        assert find_predictions(tmp_path, "x") == ()
        assert find_predictions(tmp_path / "none", "x-1") == ()


def test_a_span_of_event_time_takes_its_start_and_leaves_its_end(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA) as log:
        for hour in range(4):
            raw = rows(f"{hour}", at=NOON + timedelta(hours=hour))
            log.write("1", raw, np.array([0.5]), prediction_id=f"{hour}", at=NOON)
    assert read(tmp_path, NOON + timedelta(hours=1), NOON + timedelta(hours=3))["id"].to_list() == ["1", "2"]


def test_a_key_whose_first_prediction_lies_outside_of_the_span_is_not_in_it(tmp_path: Path) -> None:
    """Its row came again with another time; in a file that has no row of the span."""
    for minute, hour in enumerate((0, 5)):
        with PredictionLog(tmp_path, SCHEMA) as log:
            again = rows("a", at=NOON + timedelta(hours=hour))
            log.write("1", again, np.array([0.5]), prediction_id=f"{minute}", at=NOON + timedelta(minutes=minute))
    assert read(tmp_path, NOON + timedelta(hours=1))["id"].to_list() == []
    assert read(tmp_path, NOON, NOON + timedelta(hours=1))["prediction_id"].to_list() == ["0-0"]


LOGGED = st.lists(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 5), st.integers(0, 3)), max_size=6),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(files=LOGGED, span=st.tuples(st.integers(0, 6), st.integers(0, 6)), key=st.sampled_from([("id",), ("id", "at")]))
def test_a_span_is_read_as_if_every_file_had_been_read_whole(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[tuple[str | None, int, int]]],
    span: tuple[int, int],
    key: tuple[str, ...],
) -> None:
    folder = tmp_path_factory.mktemp("log")
    schema = {"id": pl.String(), "at": SCHEMA["at"]}
    whole = []
    for number, written in enumerate(files):
        frame = pl.DataFrame(
            {
                "prediction_id": [f"{number}-{row}" for row in range(len(written))],
                "version": "1",
                "logged_at": [NOON + timedelta(minutes=logged) for _, _, logged in written],
                "prediction": 0.5,
                "id": [one for one, _, _ in written],
                "at": [NOON + timedelta(hours=hour) for _, hour, _ in written],
            },
            schema_overrides={"id": pl.String(), "at": SCHEMA["at"], "logged_at": SCHEMA["at"]},
        )
        frame.write_parquet(folder / f"{number}.parquet")
        whole.append(frame)
    since, until = (NOON + timedelta(hours=hour) for hour in span)
    found = read_predictions(folder, schema, key=key, time="at", since=since, until=until)
    expected: dict[tuple[object, ...], dict[str, object]] = {}
    for row in sorted((row for frame in whole for row in frame.to_dicts()), key=lambda row: row["logged_at"]):
        expected.setdefault(tuple(row[name] for name in key), row)
    wanted = {row["prediction_id"] for row in expected.values() if since <= row["at"] < until}  # type: ignore[operator]
    assert (found.height, set(found["prediction_id"])) == (len(wanted), wanted)
    assert found["at"].is_sorted()


def test_files_that_have_no_row_of_the_span_are_not_read(tmp_path: Path) -> None:
    """Their statistics tell: here nothing else of them can be read."""
    for name, hour in (("early", 0), ("late", 5)):
        with PredictionLog(tmp_path / name, SCHEMA) as log:
            log.write("1", rows(name, at=NOON + timedelta(hours=hour)), np.array([0.5]), prediction_id=name, at=NOON)
    (early,), (late,) = (list((tmp_path / name).glob("*.parquet")) for name in ("early", "late"))
    content = early.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    (tmp_path / "late" / "broken.parquet").write_bytes(b"PAR1" + bytes(footer - 4) + content[footer:])
    assert read(tmp_path / "late", NOON + timedelta(hours=1))["id"].to_list() == ["late"]
    with pytest.raises(pl.exceptions.ComputeError):
        read(tmp_path / "late")
    assert late.exists()


def test_several_classes_give_a_list_per_row(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA) as log:
        log.write("1", rows("a", "b"), np.array([[0.25, 0.75], [0.5, 0.5]]), prediction_id="x", at=NOON)
    assert read(tmp_path)["prediction"].to_list() == [[0.25, 0.75], [0.5, 0.5]]
    assert read(tmp_path)["prediction"].dtype == pl.List(pl.Float64)


def test_a_later_contract_reads_what_an_earlier_one_wrote(tmp_path: Path) -> None:
    earlier: dict[str, pl.DataType] = {"id": pl.String(), "at": SCHEMA["at"], "distance": pl.Int64()}
    raw = pl.DataFrame({"id": ["a"], "at": [NOON], "distance": [3]}, schema=earlier)
    with PredictionLog(tmp_path, earlier) as log:
        log.write("1", raw, np.array([0.5]), prediction_id="x", at=NOON)
    with PredictionLog(tmp_path, SCHEMA) as log:
        log.write("2", rows("b"), np.array([0.5]), prediction_id="y", at=NOON)
    assert read(tmp_path).select("id", "distance", "size").rows() == [("a", 3.0, None), ("b", 1.5, "m")]


def test_a_torn_last_record_is_left_out(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, SCHEMA)
    log.write("1", rows("a"), np.array([0.5]), prediction_id="x", at=NOON)
    log.write("1", rows("b"), np.array([0.5]), prediction_id="y", at=NOON)
    (segment,), content = segments(tmp_path), segments(tmp_path)[0].read_bytes()
    first, second = ends(content)[1:]
    whole, torn = content[:first], content[:second]
    log.close()
    assert not any(content[second:]), "the rest of an open segment is zeros"
    for end in (len(whole) + 1, len(whole) + 9, len(torn) - 1):
        folder = tmp_path / str(end)
        folder.mkdir()
        (folder / "1-dead.segment").write_bytes(torn[:end])
        assert read(folder)["id"].to_list() == ["a"]
    (folder / "1-dead.segment").write_bytes(whole + bytes(4096))  # zeros: the host died
    assert read(folder)["id"].to_list() == ["a"]
    (folder / "1-dead.segment").write_bytes(torn[:-1] + b"!")
    assert read(folder)["id"].to_list() == ["a"]
    assert not segment.exists()


def ends(content: bytes) -> list[int]:
    """Where each record of a segment ends."""
    found, start = [], 0
    while length := int.from_bytes(content[start : start + 4], "little"):
        start += 8 + length
        found.append(start)
    return found


def test_a_crash_between_parquet_and_unlink_doubles_nothing(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, SCHEMA)
    log.write("1", rows("a"), np.array([0.5]), prediction_id="x", at=NOON)
    segment, content = segments(tmp_path)[0], segments(tmp_path)[0].read_bytes()
    log.close()
    segment.write_bytes(content)
    assert read(tmp_path).height == 1
    compact(tmp_path)
    assert (read(tmp_path).height, segments(tmp_path)) == (1, [])


def test_a_segment_with_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA) as log:
        log.write("1", rows("a"), np.array([0.5]), prediction_id="x", at=NOON)
        compact(tmp_path)
        log.write("1", rows("b"), np.array([0.5]), prediction_id="y", at=NOON)
        assert len(segments(tmp_path)) == 1
    assert read(tmp_path)["id"].to_list() == ["a", "b"]


def test_an_empty_segment_of_a_writer_that_died_at_birth_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "1-dead.segment").touch()
    assert read(tmp_path).height == 0
    compact(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_segments_that_are_born_while_another_process_compacts_lose_nothing(tmp_path: Path) -> None:
    done = threading.Event()

    def keep_compacting() -> None:
        while not done.is_set():
            compact(tmp_path)

    thread = threading.Thread(target=keep_compacting)
    thread.start()
    with PredictionLog(tmp_path, SCHEMA, rotate_rows=1) as log:
        for one in map(str, range(300)):
            # Dropped is what comes while too many segments wait, as on a busy machine.
            write = partial(log.write, "1", rows(one), np.array([0.5]), prediction_id=one, at=NOON)
            _wait_until(write)
        done.set()
        thread.join()
    assert sorted(read(tmp_path)["id"], key=int) == [str(number) for number in range(300)]
    assert segments(tmp_path) == []


def test_segments_rotate_by_rows_and_by_age(tmp_path: Path) -> None:
    with PredictionLog(tmp_path / "rows", SCHEMA, rotate_rows=2) as log:
        for one in "abc":
            log.write("1", rows(one), np.array([0.5]), prediction_id=one, at=NOON)
        _wait_until(lambda: len(list((tmp_path / "rows").glob("*.parquet"))) == 1)
        assert len(segments(tmp_path / "rows")) == 1
    with PredictionLog(tmp_path / "age", SCHEMA, rotate_seconds=0) as log:
        log.write("1", rows("a"), np.array([0.5]), prediction_id="x", at=NOON)
        _wait_until(lambda: len(list((tmp_path / "age").glob("*.parquet"))) == 1)


def test_rows_that_cannot_be_kept_are_counted_and_the_log_recovers(tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    folder.write_text("a file in the way")
    with PredictionLog(folder, SCHEMA) as log:
        assert not log.write("1", rows("a", "b"), np.array([0.5, 0.5]), prediction_id="x", at=NOON)
        assert (log.written, log.dropped) == (0, 2)
        folder.unlink()
        _wait_until(lambda: log.write("1", rows("c"), np.array([0.5]), prediction_id="y", at=NOON))
        assert log.written == 1
    assert not log.write("1", rows("d"), np.array([0.5]), prediction_id="z", at=NOON), "it is closed"
    assert read(folder)["id"].to_list() == ["c"]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The next segment cannot be allocated, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_drops_rows_and_keeps_those_before(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA, rotate_rows=2) as log:
        with no_file_above(SEGMENT_BYTES // 2):
            assert not log.write("1", rows("lost"), np.array([0.5]), prediction_id="w", at=NOON)
        _wait_until(lambda: log.write("1", rows("a"), np.array([0.5]), prediction_id="x", at=NOON))
        with no_file_above(SEGMENT_BYTES // 2):
            assert log.write("1", rows("b"), np.array([0.5]), prediction_id="y", at=NOON), (
                "there is room in what it has"
            )
            assert not log.write("1", rows("lost"), np.array([0.5]), prediction_id="w", at=NOON)
        _wait_until(lambda: log.write("1", rows("c"), np.array([0.5]), prediction_id="z", at=NOON))
        assert (log.written, log.dropped >= 2) == (3, True)
    assert read(tmp_path)["id"].to_list() == ["a", "b", "c"]


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np, polars as pl
from storage.prediction_log import PredictionLog
at = datetime(2013, 1, 1, tzinfo=UTC)
schema = {"id": pl.String(), "at": pl.Datetime("us", "UTC")}
log = PredictionLog(Path(sys.argv[1]), schema, rotate_rows=50)
for number in range(10**9):
    raw = pl.DataFrame({"id": [f"{sys.argv[2]}-{number}-{row}" for row in range(3)], "at": [at] * 3}, schema=schema)
    assert log.write("1", raw, np.zeros(3), prediction_id=f"{sys.argv[2]}-{number}", at=at)
    print(number, flush=True)
"""


def test_of_killed_writers_every_acknowledged_row_is_read_back_and_none_twice(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = {name: subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in ("a", "b")}
    expected: set[str] = set()
    for name, writer in writers.items():
        assert writer.stdout is not None
        seen = [writer.stdout.readline() for _ in range(400)]
        writer.kill()
        seen += writer.stdout.read().splitlines()
        writer.wait()
        writer.stdout.close()
        expected |= {f"{name}-{int(number)}-{row}" for number in seen if number.strip() for row in range(3)}
    assert len(expected) >= 2 * 3 * 400
    for _ in range(2):
        found = _everything(tmp_path)
        assert expected <= set(found)
        assert len(found) - len(expected) <= 6, "at most the one request of each that was being acknowledged"
        assert found.n_unique() == len(found)
        PredictionLog(tmp_path, SCHEMA).close()  # the next start compacts what the dead left
    assert segments(tmp_path) == []


def _everything(folder: Path) -> pl.Series:
    schema: dict[str, pl.DataType] = {"id": pl.String(), "at": pl.Datetime("us", "UTC")}
    by_row = read_predictions(folder, schema, key=("prediction_id",), time="at")
    assert by_row.height == read_predictions(folder, schema, key=("id",), time="at").height
    return by_row["id"]


def _wait_until(happens: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
