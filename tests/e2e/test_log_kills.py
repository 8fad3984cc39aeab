"""SIGKILL of the log's writers and of its keeper, at named points and anywhere: each acknowledged row is there exactly
once afterwards, and has exactly one score of the shadow. And a disk that is full for a while.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from andon.processes import PROJECT
from storage.log_keeper import LogKeeper, Shadow, read_shadow
from storage.logged import _parts
from storage.prediction_log import PredictionLog, count_requests
from storage.segment import SEGMENT_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

POINTS = {
    "log.opened": "writer",
    "log.appended": "writer",
    "log.rotated": "writer",
    "log.shadowed": "keeper",
    "log.compacted": "keeper",
}
SCHEMA: dict[str, pl.DataType] = {"id": pl.Int64(), "at": pl.Datetime("us", "UTC"), "x": pl.Float64()}
SHADOW = Shadow(version="8", predict=lambda rows: (rows["x"] * 2).to_numpy())

# Requests of one row and of three in turn; the number of each is printed once it is acknowledged.
WRITER = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from storage.prediction_log import PredictionLog
from tests.e2e.test_log_kills import SCHEMA
folder, name, first, count, rotate = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
at = datetime(2013, 1, 1, tzinfo=UTC)
log = PredictionLog(Path(folder), SCHEMA, rotate_rows=rotate, compacting=False)
for number in range(first, first + count):
    rows = 1 + 2 * (number % 2)
    if log.append("7", [[number] * rows, [at] * rows, [float(number)] * rows], [0.5] * rows,
                  prediction_id=f"{name}{number}", at_us=number):
        os.write(1, b"%d\\n" % number)
log.close()
"""
KEEPER = """
import sys, time
from pathlib import Path
from storage.log_keeper import LogKeeper
from tests.e2e.test_log_kills import SHADOW
keeper = LogKeeper(Path(sys.argv[1]), shadows=lambda: [SHADOW], shadow_seconds=0.05, tick_seconds=0.01)
keeper.start()
time.sleep(1000)
"""


def start(script: str, *arguments: object, **env: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **env}, stdout=subprocess.PIPE)


def acknowledged(writer: subprocess.Popen[bytes], name: str, requests: int | None = None) -> set[str]:
    """The ids of the rows of the next requests that the writer got to acknowledge; None: of all, until it has ended."""
    assert writer.stdout is not None
    if requests is None:
        lines = writer.stdout.read().rpartition(b"\n")[0].split()
        end(writer)
    else:
        lines = [writer.stdout.readline() for _ in range(requests)]
    numbers = [int(line) for line in lines]
    return {f"{name}{number}-{row}" for number in numbers for row in range(1 + 2 * (number % 2))}


def end(process: subprocess.Popen[bytes]) -> None:
    """It was killed, or will be."""
    process.wait(60)
    assert process.stdout is not None
    process.stdout.close()


def logged(folder: Path) -> list[str]:
    """The ids of all rows as a reader finds them in the files, before it takes the first of each key."""
    parts = [part.select("prediction_id").collect() for part in _parts(folder)]
    return pl.concat(parts)["prediction_id"].to_list() if parts else []


def check(folder: Path, expected: set[str], *, unacknowledged: int, unscored: int = 0) -> None:
    """All of the expected are there once, and at most so many rows that nobody was told of; each has one score, and
    at most so many of them are null, since too many segments waited.
    """
    found = logged(folder)
    assert len(set(found)) == len(found), "a row is there twice"
    assert expected <= set(found), "an acknowledged row is lost"
    assert len(found) - len(expected) <= unacknowledged
    assert sum(pl.read_parquet(path).height for path in folder.glob("*.parquet")) == len(found)
    scores = read_scores_as_they_lie(folder)
    assert sorted(scores["prediction_id"]) == sorted(found), "each row has one score"
    assert read_shadow(folder, "8").height == len(found)
    assert scores["prediction"].null_count() <= unscored
    assert (scores["prediction"] == scores["x"] * 2).drop_nulls().all()


def read_scores_as_they_lie(folder: Path) -> pl.DataFrame:
    files = [pl.read_parquet(path) for path in folder.glob("shadow/8/*.parquet")]
    scores = pl.concat(files, how="vertical_relaxed")
    rows = pl.concat([pl.read_parquet(path) for path in folder.glob("*.parquet")])
    return scores.join(rows.select("prediction_id", "x"), on="prediction_id")


def restart(folder: Path) -> None:
    """What the next start of the scorer does."""
    keeper = LogKeeper(folder, shadows=lambda: [SHADOW])
    keeper.start()
    keeper.stop()
    assert list(folder.glob("*.segment")) == []
    assert keeper.waiting == 0


@pytest.mark.parametrize("point", [point for point, whose in POINTS.items() if whose == "writer"])
def test_a_writer_killed_at_a_named_point_has_lost_nothing_that_it_acknowledged(tmp_path: Path, point: str) -> None:
    before = start(WRITER, tmp_path, "a", 0, 100, 40)
    expected = acknowledged(before, "a")
    killed = start(WRITER, tmp_path, "b", 0, 100, 40, ANDON_KILL_AT=point)
    expected |= acknowledged(killed, "b")
    assert killed.returncode == -signal.SIGKILL, f"{point} was not reached"
    restart(tmp_path)
    check(tmp_path, expected, unacknowledged=3)
    assert count_requests(tmp_path) - 100 == {"log.opened": 0, "log.appended": 1, "log.rotated": 20}[point]


@pytest.mark.parametrize("point", [point for point, whose in POINTS.items() if whose == "keeper"])
def test_a_keeper_killed_at_a_named_point_neither_loses_nor_doubles_a_row_or_a_score(
    tmp_path: Path, point: str
) -> None:
    expected = acknowledged(start(WRITER, tmp_path, "a", 0, 100, 40), "a")
    for _ in range(3):  # one segment further each time, or stuck at the same one: both must be harmless
        killed = start(KEEPER, tmp_path, ANDON_KILL_AT=point)
        end(killed)
        assert killed.returncode == -signal.SIGKILL, f"{point} was not reached"
    assert set(logged(tmp_path)) == expected
    restart(tmp_path)
    check(tmp_path, expected, unacknowledged=0)


def test_of_twenty_thousand_acknowledged_requests_none_is_lost_when_writers_and_keeper_are_killed(
    tmp_path: Path,
) -> None:
    """Two writers at once, killed in the middle of their work and started again, under a keeper that is killed as well,
    while somebody reads.
    """
    chance, expected, killed, requests = random.Random(6), set[str](), 0, 0
    keeper = start(KEEPER, tmp_path)
    while requests < 20_000 or killed < 6:
        writers = {name: start(WRITER, tmp_path, name, requests, 10**9, 3_000) for name in "ab"}
        told = {name: acknowledged(writer, name, chance.randrange(1_500, 3_000)) for name, writer in writers.items()}
        seen = logged(tmp_path)
        assert len(set(seen)) == len(seen), "somebody who reads sees each row once"
        assert expected.union(*told.values()) <= set(seen), "and all that was acknowledged before"
        for process in chance.sample([*writers.values(), keeper], 3):
            process.kill()
        expected.update(*told.values(), *(acknowledged(writer, name) for name, writer in writers.items()))
        killed += sum(writer.returncode == -signal.SIGKILL for writer in writers.values())
        requests = len({one.rpartition("-")[0] for one in expected})
        end(keeper)
        keeper = start(KEEPER, tmp_path)
    keeper.kill()
    end(keeper)
    restart(tmp_path)
    check(tmp_path, expected, unacknowledged=3 * killed, unscored=len(expected))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    size = f"size={SEGMENT_BYTES * 5 // 2}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_full_drops_rows_counts_them_and_takes_them_again(small_disk: Path) -> None:
    """Answers are not held up; what was acknowledged before is whole; no SIGBUS."""
    folder, ballast = small_disk / "predictions", small_disk / "ballast"
    expected: set[str] = set()

    def answer(log: PredictionLog, number: int) -> bool:
        kept = log.append("7", [[number], [None], [0.5]], [0.5], prediction_id=f"{number}", at_us=number)
        expected.update([f"{number}-0"] if kept else [])
        return kept

    with PredictionLog(folder, SCHEMA, rotate_rows=1_000, compacting=False) as log:
        assert all(answer(log, number) for number in range(500))
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free)
        kept = [number for number in range(500, 3_000) if answer(log, number)]
        assert kept == list(range(500, 1_000)), "to the end of the segment that it has; the next one has no room"
        assert (log.written, log.dropped) == (1_000, 2_000)
        ballast.unlink()
        wait_until(lambda: answer(log, 5_000))
        assert all(answer(log, number) for number in range(5_001, 5_100))
    restart(folder)
    check_rows(folder, expected)
    assert log.written == len(expected)


def check_rows(folder: Path, expected: set[str]) -> None:
    found = logged(folder)
    assert len(found) == len(set(found))
    assert set(found) == expected


def wait_until(happens: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
