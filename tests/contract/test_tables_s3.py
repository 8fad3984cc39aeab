"""The same tables in a bucket: appended to once, compacted, and right after lost answers, kills and silence."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from storage.objects import objects_for
from storage.remote import Remote
from storage.tables import Maintained, append, committed, maintain, newest, repeats, scan
from tests.faults import Fault, FaultProxy, fault_proxy
from tests.s3 import create_bucket
from validation.errors import ContractError, ServiceDownError

pytestmark = pytest.mark.slow  # deadlines are waited for

ROWS = pl.DataFrame(
    {"key": ["a", "b"], "n": [1, None], "_batch": [1, 1], "_known_at": [datetime(2013, 4, 8, tzinfo=UTC)] * 2}
)


def again(number: int) -> pl.DataFrame:
    return ROWS.with_columns(pl.lit(number, pl.Int64).alias("_batch"))


class Store:
    """A table in a bucket of its own, reached through a proxy that can be told to break."""

    def __init__(self, endpoint: str, proxy: FaultProxy, work: Path) -> None:
        self.endpoint, self.proxy, self.work = endpoint, proxy, work
        self.place = create_bucket(endpoint) / "my lake" / "flights"
        self.direct = Remote(endpoint=endpoint, seconds=60)

    def add(self, rows: pl.DataFrame, *markers: str, remote: Remote | None = None) -> bool:
        return append(self.place, rows.lazy(), markers=markers, remote=remote or self.direct, work=self.work)

    def rows(self) -> pl.DataFrame:
        table = scan(self.place, self.direct)
        assert table is not None
        return table.sort("_batch", "key").collect()


@pytest.fixture
def store(s3: str, tmp_path: Path) -> Iterator[Store]:
    with fault_proxy(s3) as proxy:
        yield Store(s3, proxy, tmp_path)


def test_a_table_that_was_never_written_has_no_rows(store: Store) -> None:
    assert scan(store.place, store.direct) is None
    assert committed(store.place, ["flights/1"], store.direct) == frozenset()


def test_batches_are_appended_once_and_told(store: Store) -> None:
    markers = [f"flights/{number}" for number in range(1, 30)]
    assert store.add(ROWS, *markers)
    assert not store.add(ROWS, *markers)
    assert store.add(ROWS.clear(), "flights/30")
    assert store.rows().equals(ROWS)
    assert committed(store.place, [*markers, "flights/30", "flights/31"], store.direct) == {*markers, "flights/30"}
    assert not list(store.work.glob("*.parquet"))


def test_other_types_are_refused(store: Store) -> None:
    store.add(ROWS, "flights/1")
    with pytest.raises(ContractError, match="'n' is Float64, the table holds Int64"):
        store.add(ROWS.cast({"n": pl.Float64}), "flights/2")


def test_repeats_and_versions_are_told_as_in_a_folder(store: Store) -> None:
    store.add(ROWS, "flights/1")
    incoming = again(2).with_columns(n=pl.Series([1, 2]))
    found = repeats(store.place, incoming.lazy(), key=["key"], batch_numbers=[2], remote=store.direct)
    assert found.sort("key").rows() == [("a", 2, True), ("b", 2, False)]
    store.add(incoming, "flights/2")
    table = scan(store.place, store.direct)
    assert table is not None
    held = newest(table, key=["key"], accepted=[1, 2], as_known_at=datetime(2013, 4, 9, tzinfo=UTC))
    assert held.sort("key").collect().equals(incoming)


def test_upkeep_changes_no_row_and_forgets_no_marker(store: Store) -> None:
    for number in range(1, 24):
        store.add(again(number), f"flights/{number}")
    before = store.rows()
    store.work.joinpath("orphan").write_bytes(b"orphan")
    objects_for(store.place, store.direct).put(store.work / "orphan", store.place / "part-orphan.parquet")
    assert maintain(store.place, store.direct, work=store.work, min_files=2) == Maintained(compacted=23, into=1)
    assert store.rows().equals(before)
    emptied = maintain(store.place, store.direct, work=store.work, min_files=2, retention=timedelta(0))
    assert emptied == Maintained(deleted=24)
    assert store.rows().equals(before)
    assert len(objects_for(store.place, store.direct).names(store.place)) == 1
    assert not store.add(again(3), "flights/3")


@pytest.mark.parametrize(("fault", "step"), [("lost answer", 1), ("reset", 4), ("503", 4)])
def test_whatever_call_of_an_append_breaks_its_rows_are_there_once(store: Store, fault: Fault, step: int) -> None:
    """Also when it is the answer to the commit itself that is lost."""
    flaky, markers = Remote(endpoint=store.proxy.url, seconds=20), [f"flights/{number}" for number in range(5)]
    folder, calls, broken = store.place, 100, 0
    while broken < calls:
        store.place = folder / str(broken)
        store.add(again(0), "flights/first")
        store.proxy.breaks(fault, calls=1, after=broken)
        assert store.add(ROWS, *markers, remote=flaky)
        calls = min(calls, store.proxy.calls)
        assert not store.add(ROWS, *markers)
        assert store.rows().equals(pl.concat([again(0), ROWS]))
        broken += step
    assert calls > 10


@pytest.mark.parametrize("fault", ["hang", "503"])
def test_a_store_that_does_not_answer_is_told_within_the_deadline(store: Store, fault: Fault) -> None:
    store.add(ROWS, "flights/1")
    remote = Remote(endpoint=store.proxy.url, seconds=1)
    rows = scan(store.place, remote)
    assert rows is not None
    store.proxy.breaks(fault)
    started = time.monotonic()
    for ask in (
        lambda: scan(store.place, remote),
        lambda: committed(store.place, ["flights/1"], remote),
        lambda: store.add(again(2), "flights/2", remote=remote),
        lambda: maintain(store.place, remote, work=store.work),
    ):
        with pytest.raises(ServiceDownError, match=r"opening s3://.*(no answer within 1 s; see that|failed: )"):
            ask()
    with pytest.raises(OSError, match="error"):
        rows.collect()
    assert time.monotonic() - started < 15
    assert not store.add(ROWS, "flights/1")
    assert store.rows().equals(ROWS)


def test_a_store_that_falls_silent_between_opening_and_reading_is_told(store: Store) -> None:
    remote = Remote(endpoint=store.proxy.url, seconds=2)
    for number in (1, 2, 3):
        store.add(again(number), f"flights/{number}")
    store.proxy.breaks("none")
    scan(store.place, remote)
    opening = store.proxy.calls
    store.proxy.breaks("hang", after=opening)
    with pytest.raises(
        ServiceDownError, match=r"reading s3://.* failed: .*; see that the store answers, then try again"
    ):
        maintain(store.place, remote, work=store.work, min_files=2)
    store.proxy.breaks("hang", after=opening)
    with pytest.raises(ServiceDownError, match=r"reading s3://.* failed"):
        repeats(store.place, again(9).lazy(), key=["key"], batch_numbers=[9], remote=remote)


# What a process does that is killed, or races; `act` is filled in by each test.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import polars as pl
from storage.address import Address
from storage.datafile import data_file
from storage.remote import Remote
from storage.tables import append, commit, sink
from storage.transaction import put
place, work, number = Address(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
remote, markers, path = Remote(endpoint=sys.argv[4]), [f"flights/{number}"], work / f"{number}.parquet"
rows = pl.scan_parquet(work / "rows.parquet").with_columns(pl.lit(number, pl.Int64).alias("_batch"))
def die():
    os.kill(os.getpid(), signal.SIGKILL)
print("ready", flush=True)
while not (work / "go").exists():
    time.sleep(0.001)
"""
APPEND = "print(append(place, rows, markers=markers, remote=remote, work=work), flush=True)"


def run(store: Store, *acts: str) -> list[tuple[int, str]]:
    """Return code and output of processes that start at once; behind its # an act has the number of its batch."""
    ROWS.write_parquet(store.work / "rows.parquet")
    (store.work / "go").unlink(missing_ok=True)
    with ExitStack() as stack:
        processes = [stack.enter_context(started(store, *act.partition("#")[::2])) for act in acts]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        (store.work / "go").touch()
        told = [process.communicate(timeout=120)[0] for process in processes]
        return sorted((process.returncode, text) for process, text in zip(processes, told, strict=True))


def started(store: Store, act: str, number: str) -> "subprocess.Popen[str]":
    arguments = [str(store.place), str(store.work), number or "1", store.endpoint]
    return subprocess.Popen([sys.executable, "-c", PROGRAM + act, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("act", "written"),
    [
        pytest.param("sink(rows, path)\nput(data_file(path), place, remote)\ndie()", False, id="uploaded"),
        pytest.param(
            "sink(rows, path)\ncommit(place, path, markers=markers, remote=remote)\ndie()", True, id="committed"
        ),
    ],
)
def test_after_a_kill_the_repetition_writes_each_row_once(store: Store, act: str, *, written: bool) -> None:
    store.add(again(0), "flights/0")
    assert run(store, act) == [(-signal.SIGKILL, "")]
    assert run(store, APPEND) == [(0, f"{not written}\n")]
    assert store.rows().equals(pl.concat([again(0), ROWS]))
    maintain(store.place, store.direct, work=store.work, min_files=2, retention=timedelta(0))
    assert store.rows().equals(pl.concat([again(0), ROWS]))


def test_twins_write_their_batch_once_and_others_theirs(store: Store) -> None:
    """They create the table as well."""
    told = run(store, f"{APPEND}#1", f"{APPEND}#1", f"{APPEND}#2")
    assert told == [(0, "False\n"), (0, "True\n"), (0, "True\n")]
    assert store.rows().equals(pl.concat([ROWS, again(2)]))
