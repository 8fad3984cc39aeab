"""SIGKILL anywhere in ingest: after a restart each row that landed is where it belongs, once; counted independently."""

import gzip
import itertools
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.accounts import Accounts, Kind, account, staged
from tests.e2e.ingest_world import LIMITS, Runner, Yard, arrivals, build, csv, parcels, parquet, weather

pytestmark = pytest.mark.slow  # each starts processes that import the whole line

LEASE_SECONDS = 0.2
POINTS = (
    "listed", "admitted", "claimed", "judged", "sunk", "compared", "prepared",
    "quarantined", "staged", "committing", "appended", "recorded", "forgotten", "finished",
)  # fmt: skip
# Labels come first, then the weather, then rows; of each a group of small files, and a large one.
GROUPS = ("labels", "labels, large", "weather", "weather, large", "rows", "rows, large")
# Each point for a group of several files of rows, and for one of the others, in turn.
KILLS = [(point, "rows") for point in POINTS] + [
    (point, group) for point, group in zip(POINTS, itertools.cycle(("rows, large", "labels", "weather, large")))
]
EXPECTED: dict[Kind, Accounts] = {
    "labels": Accounts(landed=8_042, curated=8_040, quarantined=1, refused=0, duplicates=1),
    "weather": Accounts(landed=8_102, curated=8_100, quarantined=1, refused=0, duplicates=1),
    "rows": Accounts(landed=285, curated=194, quarantined=9, refused=20, duplicates=62),
}


def land_all(yard: Yard) -> None:
    """Of each kind what may happen to a file."""
    clean = parquet(parcels(*range(40)))
    yard.land("rows", "a.parquet", clean)
    yard.land("rows", "b.parquet", parquet(parcels(38, 39), parcels(*range(40, 78)), parcels(90, 91, 92, weight=-1.0)))
    yard.land("rows", "c-is-a.parquet", clean)
    yard.land("rows", "d-lacks-a-column.parquet", parquet(parcels(*range(200, 220)).drop("depot")))
    yard.land("rows", "e.csv.gz", packed(csv(parcels(*range(100, 118)), parcels(118, weight=99.0))))
    yard.land("rows", "f-is-half.parquet", clean[: len(clean) // 2])
    yard.land("rows", "g-all-again.parquet", parquet(parcels(*range(20))))
    large = parquet(parcels(*range(1000, 1098), text=2), parcels(1098, 1099, 1100, 1101, 1102, weight=-1.0, text=2))
    yard.land("rows", "z-large.parquet", large)
    yard.land("labels", "a.parquet", parquet(arrivals(*range(30))))
    yard.land("labels", "b.parquet", parquet(arrivals(29, *range(30, 40)), arrivals(41, minutes=float("nan"))))
    yard.land("labels", "z-large.parquet", parquet(arrivals(*range(1000, 9000))))
    yard.land("weather", "a.parquet", parquet(weather(*range(60))))
    yard.land("weather", "b.parquet", parquet(weather(59, *range(60, 100)), weather(300, temp=99.0)))
    yard.land("weather", "z-large.parquet", parquet(weather(*range(-8000, 0))))
    assert all(len(large) > LIMITS["arrivals.MAX_BYTES"] for large in sizes_of_large(yard))


def packed(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


def sizes_of_large(yard: Yard) -> list[bytes]:
    return [path.read_bytes() for path in Path(yard.landing).glob("*/z-large.parquet")]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    yard = build(tmp_path_factory.mktemp("template") / "home")
    land_all(yard)
    return yard


@pytest.fixture
def yard(template: Yard, tmp_path: Path) -> Yard:
    """All has landed, nothing is taken in."""
    made = build(tmp_path / "home", ANDON_LEASE_SECONDS=str(LEASE_SECONDS))
    shutil.copytree(template.sent, made.sent, dirs_exist_ok=True)
    shutil.copytree(template.landing, made.landing)
    return made


def restart(runner: Runner, yard: Yard) -> None:
    """Whoever comes next finishes the work; the ones after it find nothing to do."""
    time.sleep(2 * LEASE_SECONDS)
    runner.ingest(yard)
    assert runner.ingest(yard) == []
    assert runner.run(yard, "reconcile").found == []


def test_without_a_kill_each_row_is_where_it_belongs(runner: Runner, yard: Yard) -> None:
    runner.ingest(yard)
    assert account(yard) == EXPECTED
    assert staged(yard) == []
    assert list((yard.home / "work").iterdir()) == []


@pytest.mark.parametrize(("point", "group"), KILLS)
def test_killed_at_a_named_point_the_next_run_finishes_the_work(
    runner: Runner, yard: Yard, point: str, group: str
) -> None:
    runner.kill_at(yard, f"ingest.{point}", group=GROUPS.index(group))
    restart(runner, yard)
    assert account(yard) == EXPECTED
    assert staged(yard) == []
    assert len(list((yard.home / "work").iterdir())) <= 1, "of the killed run, for a day"


def test_killed_again_and_again_at_any_moment_it_comes_to_its_end(runner: Runner, yard: Yard) -> None:
    chance, codes = random.Random(7), [-signal.SIGKILL]
    while codes[-1] != 0:
        pid = runner.begin(yard, "ingest")
        time.sleep(chance.uniform(0.1, 0.8) + len(codes) / 20)
        runner.kill(pid)
        codes.append(runner.wait(pid).code)
    assert len(codes) > 4, "it was hardly ever killed"
    restart(runner, yard)
    assert account(yard) == EXPECTED
    assert staged(yard) == []


def test_what_killed_runs_have_left_is_removed_after_a_day(runner: Runner, yard: Yard) -> None:
    runner.kill_at(yard, "ingest.sunk")
    (left,) = (yard.home / "work").iterdir()
    age(left, seconds=86_000)
    restart(runner, yard)
    assert left.exists()
    age(left, seconds=87_000)
    yard.land("rows", "next.parquet", parquet(parcels(5000)))
    runner.ingest(yard)
    assert list((yard.home / "work").iterdir()) == []


def age(path: Path, *, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)
