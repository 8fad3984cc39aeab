"""SIGKILL, a crashed PostgreSQL, a failing S3 and a full disk in the middle of a publish: the repetition completes it,
and each row is there once; counted by other means than ours.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import psycopg
import pytest

from storage.address import Address
from storage.objects import objects_for
from storage.publishing.port import Published, Run
from storage.remote import Remote
from storage.tables import scan
from tests.e2e.publish_world import PART, Scores, channel, run
from tests.e2e.test_ingest_disk import small_disk
from tests.faults import Fault, fault_proxy
from tests.postgres import PostgresServer, breakable_server, create_database
from tests.s3 import create_bucket, s3_server
from validation.errors import ServiceDownError

pytestmark = pytest.mark.slow

WHOLE = 2 * PART
# Per channel, the points at which it dies; whether the run is there then.
POINTS = {
    "files": {"written": False, "filed": True},
    "files on S3": {"written": False, "uploaded": False, "filed": True},
    "table": {"written": False, "placed": False, "appended": True},
    "table on S3": {"written": False, "uploaded": False, "placed": False, "appended": True},
    "sqlite": {"prepared": False, "staged": False, "replaced": False, "committed": True},
    "postgres": {"prepared": False, "staged": False, "replaced": False, "committed": True},
}
CASES = [(kind, point) for kind, points in POINTS.items() for point in points]


@dataclass(frozen=True, slots=True)
class Yard:
    """Where the publishers of a test deliver to."""

    kind: str
    place: str
    work: Path
    endpoint: str = ""

    @property
    def channel(self) -> str:
        return self.kind.split()[0] if self.kind.startswith(("files", "table")) else "database"

    def start(self, number: int, *, kill_at: str = "") -> "subprocess.Popen[str]":
        """A process that publishes run `number`."""
        arguments = [self.channel, self.place, str(self.work), self.endpoint, str(number)]
        command = [sys.executable, "-m", "tests.e2e.publish_world", *arguments]
        environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
        if kill_at:
            environment["ANDON_KILL_AT"] = f"publish.{kill_at}"
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def publish(self, number: int, *, endpoint: str = "", seconds: float = 60) -> Published:
        """The same in this process."""
        to = channel(self.channel, self.place, str(self.work), endpoint or self.endpoint, seconds)
        return to.publish(run(number), Scores(run(number)))

    def counts(self) -> dict[float, int]:
        """How many rows of each run a reader sees, by the prediction, with as many keys."""
        rows = {"files": self._of_files, "table": self._of_table}.get(self.channel, self._of_database)()
        assert len(rows) == len(set(rows)), "a row is there twice"
        return dict(Counter(prediction for prediction, _ in rows))

    def _of_files(self) -> list[tuple[float, str]]:
        folder, remote = Address.of(self.place), Remote(endpoint=self.endpoint)
        options = remote.storage_options() if folder.is_remote else None
        names = objects_for(folder, remote).names(folder)
        found = [pl.scan_parquet(f"{folder}/{name}", storage_options=options) for name in names if name[0] != "."]
        return [row for frame in found for row in frame.select("prediction", "id").collect().rows()]

    def _of_table(self) -> list[tuple[float, str]]:
        table = scan(Address.of(self.place), Remote(endpoint=self.endpoint))
        return [] if table is None else table.select("prediction", "id").collect().rows()

    def _of_database(self) -> list[tuple[float, str]]:
        ask = "SELECT prediction, id FROM scores"
        if self.kind == "postgres":
            with psycopg.connect(self.place) as connection:
                is_there = connection.execute("SELECT to_regclass('scores')").fetchone() != (None,)
                return connection.execute(ask).fetchall() if is_there else []
        with closing(sqlite3.connect(self.place.removeprefix("sqlite:///"))) as database:
            is_there = bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'scores'").fetchall())
            return database.execute(ask).fetchall() if is_there else []


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with breakable_server() as started:
        yield started


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


def yard_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Yard:
    """New and empty."""
    work = folder / "work"
    if kind.endswith("S3"):
        endpoint = request.getfixturevalue("s3")
        return Yard(kind, str(create_bucket(endpoint) / "lake/scores"), work, endpoint)
    if kind == "postgres":
        return Yard(kind, create_database(request.getfixturevalue("server").url), work)
    return Yard(kind, f"sqlite:///{folder}/delivery.db" if kind == "sqlite" else str(folder / "scores"), work)


@pytest.mark.parametrize(("kind", "point"), CASES)
def test_after_a_kill_at_a_named_point_the_repetition_completes_the_run(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, point: str
) -> None:
    """A run that replaces another: until its end readers see the other, whole. The first use of all, for "prepared"."""
    yard, is_first = yard_of(kind, request, tmp_path), point == "prepared"
    before = {} if is_first else {1.0: WHOLE}
    if not is_first:
        yard.publish(1)
    victim = yard.start(2, kill_at=point)
    assert (victim.wait(120), victim.communicate()[0]) == (-signal.SIGKILL, "")
    after = {**(before if kind.startswith("files") else {}), 2.0: WHOLE}
    is_there = POINTS[kind][point]
    assert yard.counts() == (after if is_there else before)
    assert yard.publish(2) == Published(place=yard.publish(2).place, rows=WHOLE, repeated=is_there)
    assert yard.counts() == after


@pytest.mark.parametrize("kind", ["table", "postgres", "sqlite"])
def test_after_kills_at_any_moment_each_row_is_there_once(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    yard, moments = yard_of(kind, request, tmp_path), random.Random(7)
    yard.publish(1)
    for number in range(2, 6):
        victim = yard.start(number)
        time.sleep(1.0 + moments.uniform(0.0, 1.5))  # it imports for a second
        victim.kill()
        victim.communicate()
        (held,) = yard.counts().items()
        assert held in {(float(number), WHOLE), (float(number - 1), WHOLE)}
        yard.publish(number)
        assert yard.counts() == {float(number): WHOLE}


def test_postgres_that_is_restarted_in_the_middle_of_a_publish_has_the_old_run_and_then_the_new(
    server: PostgresServer, tmp_path: Path
) -> None:
    yard = Yard("postgres", create_database(server.url), tmp_path / "work")
    yard.publish(1)
    to = channel("database", yard.place, "", seconds=30)
    with pytest.raises(ServiceDownError, match="see that the server answers, then try again"):
        to.publish(run(2), CrashingBetweenParts(run(2), server))
    server.start()
    assert yard.counts() == {1.0: WHOLE}
    moments = random.Random(7)
    for number in range(2, 6):
        crash = threading.Thread(target=crash_soon, args=(server, yard.place, moments.uniform(0.0, 0.4)))
        crash.start()
        with suppress(ServiceDownError):
            yard.publish(number)
        crash.join()
        server.start()
        (held,) = yard.counts().items()
        assert held in {(float(number), WHOLE), (float(number - 1), WHOLE)}
        yard.publish(number)
        assert yard.counts() == {float(number): WHOLE}


class CrashingBetweenParts(Scores):
    """PostgreSQL is cut off after the first part."""

    def __init__(self, of: Run, server: PostgresServer) -> None:
        super().__init__(of)
        self.server = server

    def parts(self) -> Iterator[pl.DataFrame]:
        first, *others = super().parts()
        yield first
        self.server.crash()
        yield from others


def crash_soon(server: PostgresServer, url: str, seconds: float) -> None:
    """Cut everything so long after the publisher has begun to bring rows."""
    ask = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'andon' AND query ILIKE 'COPY%scores%'"
    until = time.monotonic() + 10
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < until and not connection.execute(ask).fetchall():
            time.sleep(0.001)
    time.sleep(seconds)
    server.crash()


@pytest.mark.parametrize("kind", ["files on S3", "table on S3"])
@pytest.mark.parametrize("fault", ["503", "lost answer"])
def test_whatever_call_to_s3_breaks_each_row_is_there_once(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, fault: Fault
) -> None:
    """One after another, each call of a publish breaks; retries inside get over it."""
    yard = yard_of(kind, request, tmp_path)
    yard.publish(1)
    with fault_proxy(yard.endpoint) as proxy:
        number, step = 2, 4
        broken, calls = 0, 100
        while broken < calls:
            proxy.breaks(fault, calls=1, after=broken)
            assert yard.publish(number, endpoint=proxy.url).rows == WHOLE
            calls = min(calls, proxy.calls)
            number, broken = number + 1, broken + step
        assert calls > 3
    assert yard.publish(number - 1).repeated
    counts = yard.counts()
    assert counts == ({float(n): WHOLE for n in range(1, number)} if "files" in kind else {float(number - 1): WHOLE})


@pytest.mark.parametrize("kind", ["files on S3", "table on S3"])
@pytest.mark.parametrize(("fault", "after"), [("503", 0), ("hang", 2), ("reset", 4)])
def test_an_s3_that_fails_for_long_is_told_in_time_and_the_repetition_completes(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, fault: Fault, after: int
) -> None:
    yard = yard_of(kind, request, tmp_path)
    yard.publish(1)
    before = yard.counts()
    with fault_proxy(yard.endpoint) as proxy:
        proxy.breaks(fault, after=after)
        began = time.monotonic()
        with pytest.raises(ServiceDownError):
            yard.publish(2, endpoint=proxy.url, seconds=1)
        assert time.monotonic() - began < 30
    assert yard.counts() == before
    assert not yard.publish(2).repeated
    assert yard.counts() == {**(before if "files" in kind else {}), 2.0: WHOLE}


@pytest.mark.parametrize("kind", ["files", "table", "sqlite"])
@pytest.mark.parametrize("leave", [0, 300_000, 3_000_000])
def test_a_full_disk_is_told_and_when_there_is_room_the_repetition_completes(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, leave: int
) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder, megabytes=150):
        yard = yard_of(kind, request, folder)
        yard.publish(1)
        before = yard.counts()
        ballast = fill(folder, leave=leave)
        with pytest.raises(ServiceDownError, match=r"make room|disk is full"):
            yard.publish(2)
        ballast.unlink()  # NOTE: of a full disk, SQLite cannot even read
        assert yard.counts() == before
        assert not yard.publish(2).repeated
        assert yard.counts() == {**(before if kind == "files" else {}), 2.0: WHOLE}
        assert kind == "sqlite" or list(yard.work.iterdir()) == []


def fill(folder: Path, *, leave: int) -> Path:
    """Take all room but so many bytes."""
    file = folder / "ballast"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(descriptor, bytes(65_536)):
            pass
    os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - leave))
    os.close(descriptor)
    return file


MEMORY = """
import resource, sys
from tests.e2e.publish_world import Scores, channel, run
kind, place, work, parts = sys.argv[1:]
channel(kind, place, work).publish(run(1), Scores(run(1), 2))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
channel(kind, place, work).publish(run(2), Scores(run(2), int(parts)))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("kind", ["files", "table", "sqlite", "postgres"])
def test_memory_is_bounded_by_a_part_and_not_by_the_run(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """30 parts of some 5 MB each cost little more than two."""
    yard = yard_of(kind, request, tmp_path)
    command = [sys.executable, "-c", MEMORY, yard.channel, yard.place, str(yard.work), "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert sum(yard.counts().values()) == 30 * PART + (WHOLE if kind == "files" else 0)
    assert int(done.stdout) < 80
