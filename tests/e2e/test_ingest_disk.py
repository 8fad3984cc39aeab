"""A full disk is no fault of a file: nothing is refused or lost for it, and all is taken in when there is room."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.accounts import Accounts, account, staged
from tests.e2e.ingest_world import Ended, Runner, Yard, build, parcels, parquet


@contextmanager
def small_disk(place: Path, *, megabytes: int) -> Iterator[None]:
    """A disk of its own at `place`, while inside."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return build(tmp_path / "home", ANDON_LEASE_SECONDS="1")


def land(yard: Yard) -> None:
    """A small file, one of some 600 kB, and one of which some 360 kB go to the dead letter."""
    yard.land("rows", "a.parquet", parquet(parcels(*range(40))))
    yard.land("rows", "b.parquet", parquet(parcels(*range(100, 700), text=1)))
    bad = parcels(*range(900, 990), weight=-1.0, text=4)
    yard.land("rows", "c.parquet", parquet(parcels(*range(1000, 1400)), bad))


EXPECTED = Accounts(landed=1130, curated=1040, quarantined=90, refused=0, duplicates=0)


def fill(folder: Path, *, leave: int) -> Path:
    """Take all room but so many bytes."""
    file = folder / "ballast"
    with file.open("wb") as writing:
        try:
            while True:
                writing.write(b"\0" * 65_536)
                writing.flush()
        except OSError:
            pass
    with file.open("rb+") as cutting:
        cutting.truncate(max(0, file.stat().st_size - leave))
    return file


def assert_told(ended: Ended) -> None:
    """Something failed, and nothing was refused."""
    told = {outcome for _, outcome, _ in ended.found or []}
    assert told <= {"accept", "quarantine", "failed"}, f"a full disk was blamed on a file: {ended.found}"
    assert ended.error or "failed" in told, ended


@pytest.mark.slow
@pytest.mark.parametrize(
    ("full", "leave"),
    [("work", 0), ("work", 20_000), ("lake", 0), ("lake", 20_000), ("lake", 100_000), ("lake", 400_000)],
)
def test_a_full_disk_is_told_and_all_is_taken_in_when_there_is_room(
    runner: Runner, yard: Yard, full: str, leave: int
) -> None:
    place = yard.home / full
    with small_disk(place, megabytes=6):
        land(yard)
        ballast = fill(place, leave=leave)
        ended = runner.run(yard, "ingest")
        assert_told(ended)
        ballast.unlink()
        runner.ingest(yard)
        assert runner.ingest(yard) == []
        assert account(yard)["rows"] == EXPECTED
        assert staged(yard) == []


@pytest.mark.parametrize("limit", [50_000, 300_000])
def test_a_file_that_may_not_grow_is_told_and_all_is_taken_in_when_it_may(
    runner: Runner, yard: Yard, limit: int
) -> None:
    """As with a quota."""
    land(yard)
    ended = runner.run(yard, "ingest", largest_file=limit)
    assert_told(ended)
    runner.ingest(yard)
    assert account(yard)["rows"] == EXPECTED
