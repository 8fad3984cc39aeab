"""A disk without room for the numbers: the process that counts goes on, and the others are told of."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import disks
from tests.unit.test_serving_metrics import READER, samples

# Counts under so many labels (each takes 2 KB), says what it holds itself, and lives no longer.
COUNTING = """
import resource, sys
from serving.http.metrics import Metrics
room, labels = map(int, sys.argv[1:])
if room >= 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
metrics = Metrics()
for number in range(labels):
    tally = metrics.tally("trips", f"{number:03}", "3")
    tally.answered(0.002)
    tally.answered(0.002)
print(*(child._value.get() for child in metrics._requests._metrics.values()), flush=True)
"""
EACH = "2.0 0.0 0.0 "


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    env = {"PATH": os.environ["PATH"], "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=env, capture_output=True, check=True, timeout=60)


def answered(folder: Path) -> float:
    told = samples(run(folder, READER).stdout)
    return sum(value for (name, *_, status, _), value in told.items() if name == "andon_requests_total" and status)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.mounted(tmp_path / "disk", size="448k") as place:
        yield place


@pytest.mark.parametrize(("room", "seen"), [(0, 0), (64 * 1024, 1)], ids=["none", "none to grow"])
def test_without_room_for_files_numbers_go_on_in_memory_and_are_not_told(tmp_path: Path, room: int, seen: int) -> None:
    done = run(tmp_path, COUNTING, str(room), "200")
    assert done.stdout.decode() == (EACH * 200).rstrip() + "\n"
    assert b"are not told by /metrics any more" in done.stderr
    assert b"Traceback" not in done.stderr
    assert (answered(tmp_path) > 0) == bool(seen)
    assert not list(tmp_path.glob("*.new"))


def test_a_file_that_grows_is_told_whole(tmp_path: Path) -> None:
    done = run(tmp_path, COUNTING, "-1", "200")
    assert answered(tmp_path) == 400
    assert done.stderr == b""
    for file in tmp_path.glob("*.db"):
        assert file.stat().st_blocks * 512 >= file.stat().st_size


def test_a_full_disk_ends_no_process_and_what_others_have_counted_is_still_told(small_disk: Path) -> None:
    run(small_disk, COUNTING, "-1", "1")
    with (small_disk / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free)
    assert run(small_disk, COUNTING, "-1", "100").stdout.decode().count("2.0") == 100
    assert answered(small_disk) == 2
    (small_disk / "ballast").unlink()
    run(small_disk, COUNTING, "-1", "1")
    assert answered(small_disk) == 4
