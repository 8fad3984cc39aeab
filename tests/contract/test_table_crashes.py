"""Kills, twins and full disks: after the repetition each row is in the table once, and none that was there is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from storage.address import Address
from storage.remote import Remote
from storage.tables import append, maintain, scan
from tests import disks

LOCAL = Remote()

# `act` is what each test fills in; 200,000 rows take long enough to be killed in between.
PROGRAM = """
import os, resource, signal, sys, time
from pathlib import Path
import polars as pl
from storage.address import Address
from storage.datafile import data_file
from storage.delta import open_for
from storage.remote import Remote
from storage.tables import append, commit, maintain, sink
from storage.transaction import put, transact
place, work, number = Address(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
remote, markers, path = Remote(), [f"flights/{number}"], work / f"{number}.parquet"
rows = pl.LazyFrame({"key": pl.Series(range(200_000), dtype=pl.Int64) * 7919 % 1_000_003}).with_columns(
    pl.lit(number, pl.Int64).alias("_batch")
)
def die(frame=None):
    os.kill(os.getpid(), signal.SIGKILL)
def wait_for(go):
    print("ready", flush=True)
    while not go.exists():
        time.sleep(0.001)
"""
APPEND = "print(append(place, rows, markers=markers, remote=remote, work=work), flush=True)"
RACE = f"wait_for(work / 'go')\n{APPEND}"


class Lab:
    """A table with one row of batch 0, and processes that act on it."""

    def __init__(self, folder: Path) -> None:
        self.work, self.place = folder, Address.of(folder / "flights")
        first = pl.LazyFrame({"key": [1], "_batch": [0]})
        append(self.place, first, markers=["flights/0"], remote=LOCAL, work=folder)

    def start(self, act: str, *, number: int = 1) -> "subprocess.Popen[str]":
        arguments = [sys.executable, "-c", PROGRAM + act, str(self.place), str(self.work), str(number)]
        environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def run(self, act: str, *, number: int = 1) -> tuple[int, str, str]:
        process = self.start(act, number=number)
        told, failed = process.communicate(timeout=120)
        return process.returncode, told, failed

    def batches(self) -> dict[int, int]:
        table = scan(self.place, LOCAL)
        assert table is not None
        return dict(table.group_by("_batch").len().collect().sort("_batch").rows())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize(
    ("act", "written"),
    [
        pytest.param("append(place, rows.map_batches(die), markers=markers, remote=remote, work=work)", 0, id="sink"),
        pytest.param("sink(rows, path)\ndie()", 0, id="sunk"),
        pytest.param("sink(rows, path)\nput(data_file(path), place, remote)\ndie()", 0, id="moved"),
        pytest.param("sink(rows, path)\ncommit(place, path, markers=markers, remote=remote)\ndie()", 1, id="committed"),
    ],
)
def test_after_a_kill_at_a_named_point_the_repetition_writes_each_row_once(lab: Lab, act: str, written: int) -> None:
    code, _, failed = lab.run(act)
    assert code == -signal.SIGKILL, failed
    assert lab.batches() == ({0: 1, 1: 200_000} if written else {0: 1})
    assert lab.run(APPEND)[:2] == (0, f"{not written}\n")
    assert lab.batches() == {0: 1, 1: 200_000}
    maintain(lab.place, LOCAL, work=lab.work, min_files=2, retention=timedelta(0))
    assert lab.batches() == {0: 1, 1: 200_000}
    assert len(list(lab.place.path.glob("*.parquet"))) == 1


def test_after_kills_at_any_moment_each_row_is_there_once(lab: Lab) -> None:
    """Of appends and compactions; the moments lie within what one of them takes."""
    moments = random.Random(7)
    act = f"wait_for(work / 'go')\n{APPEND}\nmaintain(place, remote, work=work, min_files=2)\nprint('end', flush=True)"
    for number in range(1, 9):
        (lab.work / "go").unlink(missing_ok=True)
        victim = lab.start(act, number=number)
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        (lab.work / "go").touch()
        time.sleep(moments.uniform(0.0, 0.15))
        victim.send_signal(signal.SIGKILL)
        victim.communicate(timeout=60)
    for number in range(1, 9):
        append_here(lab, number)
    assert lab.batches() == {0: 1, **dict.fromkeys(range(1, 9), 200_000)}


def append_here(lab: Lab, number: int) -> bool:
    rows = pl.LazyFrame({"key": range(200_000)}).with_columns(pl.lit(number, pl.Int64).alias("_batch"))
    return append(lab.place, rows, markers=[f"flights/{number}"], remote=LOCAL, work=lab.work)


@pytest.mark.parametrize("existing", [True, False])
def test_twins_with_the_same_batch_write_it_once(lab: Lab, tmp_path: Path, *, existing: bool) -> None:
    if not existing:
        lab.place = Address.of(tmp_path / "new")
    twins = [lab.start(RACE) for _ in range(3)]
    assert race(lab, twins) == ["False\n", "False\n", "True\n"]
    assert lab.batches()[1] == 200_000


@pytest.mark.parametrize("existing", [True, False])
def test_writers_with_different_batches_all_write(lab: Lab, tmp_path: Path, *, existing: bool) -> None:
    if not existing:
        lab.place = Address.of(tmp_path / "new")
    writers = [lab.start(RACE, number=number) for number in (1, 2, 3)]
    assert race(lab, writers) == ["True\n"] * 3
    assert lab.batches() == {**({0: 1} if existing else {}), 1: 200_000, 2: 200_000, 3: 200_000}


def race(lab: Lab, processes: "list[subprocess.Popen[str]]") -> list[str]:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (lab.work / "go").touch()
    return sorted(process.communicate(timeout=120)[0] for process in processes)


LIMIT = "\nresource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))\n"


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(LIMIT.format(50_000) + APPEND, id="sink"),
        pytest.param(
            "sink(rows, path)" + LIMIT.format(10) + "commit(place, path, markers=markers, remote=remote)", id="commit"
        ),
        pytest.param(
            "append(place, rows, markers=markers, remote=remote, work=work)"
            + LIMIT.format(50_000)
            + "maintain(place, remote, work=work, min_files=2)",
            id="upkeep",
        ),
    ],
)
def test_a_file_that_cannot_grow_is_an_error_that_leaves_the_table_as_it_was(lab: Lab, act: str) -> None:
    code, _, failed = lab.run(act)
    assert code == 1
    assert "File too large" in failed
    assert lab.batches() in ({0: 1}, {0: 1, 1: 200_000})
    assert not list(lab.work.glob("*-*.parquet"))
    lab.run(APPEND)
    assert lab.batches() == {0: 1, 1: 200_000}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.mounted(tmp_path / "disk", size="4m") as place:
        yield place


@pytest.mark.parametrize("is_copied", [False, True], ids=["written", "copied"])
def test_a_full_disk_is_an_error_and_when_there_is_space_again_the_repetition_works(
    tmp_path: Path, small_disk: Path, *, is_copied: bool
) -> None:
    """Full while the rows are written, and while they are copied into the table from another file system."""
    lab, ballast, work = Lab(small_disk), small_disk / "ballast", tmp_path if is_copied else small_disk
    disk = os.statvfs(small_disk)
    ballast.write_bytes(bytes(disk.f_bavail * disk.f_frsize - 100_000))
    rows = pl.LazyFrame({"key": pl.Series(range(200_000)) * 7919 % 1_000_003}).with_columns(_batch=pl.lit(1, pl.Int64))
    with pytest.raises((OSError, pl.exceptions.ComputeError), match="No space left on device"):
        append(lab.place, rows, markers=["flights/1"], remote=LOCAL, work=work)
    assert lab.batches() == {0: 1}
    assert not list(work.glob("*.parquet"))
    ballast.unlink()
    assert append(lab.place, rows, markers=["flights/1"], remote=LOCAL, work=work)
    assert lab.batches() == {0: 1, 1: 200_000}
