"""SIGKILL at each step of a swap, in supervisor and workers: the next scorer serves the ledger's champion."""

import os
import signal
import time
from pathlib import Path

import pytest

from serving.follower import memory_of, remembered
from tests.e2e.scorer_world import NAME, Scorer, World, build, copied, ended, running
from tests.e2e.test_scorer_swaps import check
from tests.e2e.world import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SUPERVISOR = ("seen", "fetched", "loaded", "prepared", "committed", "swapped", "remembered")
POINTS = {"scorer": SUPERVISOR, "worker": ("prepared", "committed")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def world(built: World, tmp_path: Path) -> World:
    return copied(built, tmp_path)


def begin(world: World, point: str) -> Scorer:
    """A scorer that is killed at the point; its two workers listen, and serve nothing yet."""
    scorer = Scorer(world, "--workers", "2", ANDON_KILL_AT=point)
    scorer.await_up()
    return scorer


def check_whole(world: World) -> None:
    """A new scorer serves the champion, by all workers, and nothing half is left on the disk."""
    with running(world, "--workers", "2") as scorer:
        wait_for("readiness", lambda: scorer.told()["status"] == "ready", seconds=30)
        check(scorer, world, 1)
        champion = world.ledger.champion(NAME)
        wait_for("its memory", lambda: remembered(memory_of(world.home, NAME)) == champion, seconds=10)
        assert scorer.stop() == 0
    left = sorted(path.name for path in (world.home / "bundles" / NAME).iterdir())
    assert left == sorted([*world.digests, "current.json"])


@pytest.mark.parametrize("point", [f"scorer.{name}" for name in SUPERVISOR])
def test_a_supervisor_killed_in_a_swap_leaves_no_worker_and_no_half_champion(world: World, point: str) -> None:
    scorer = begin(world, point)
    workers = scorer.workers()
    assert len(workers) == 2
    world.crown(1)
    assert scorer.process.wait(30) == -signal.SIGKILL, f"{point} was not reached: {scorer.said()[-2000:]}"
    for pid in workers:
        wait_for(f"worker {pid} to end", lambda pid=pid: ended(pid), seconds=10)  # type: ignore[misc]
    scorer.close()
    served = remembered(memory_of(world.home, NAME))
    assert (served is not None) == (point == "scorer.remembered")
    check_whole(world)


@pytest.mark.parametrize("point", ["worker.prepared", "worker.committed"])
def test_workers_that_die_in_a_swap_do_not_take_the_supervisor_with_them(world: World, point: str) -> None:
    scorer = begin(world, point)
    workers = scorer.workers()
    world.crown(1)
    wait_for("both to die", lambda: all(map(ended, workers)), seconds=30)
    wait_for("new ones", lambda: len(scorer.workers()) >= 1, seconds=30)
    wait_for("both to be told", lambda: scorer.said().count("was ended by SIGKILL") >= 2, seconds=10)
    assert scorer.stop() == 0
    scorer.close()
    check_whole(world)


def test_a_supervisor_killed_again_and_again_while_champions_change_ends_with_the_last(world: World) -> None:
    """At no named point: whenever it comes."""
    for turn, pause in enumerate((0.0, 0.1, 0.3, 0.6)):
        world.crown(2 - turn % 2)
        scorer = Scorer(world, "--workers", "2")
        wait_for("a first word", lambda scorer=scorer: "serves now" in scorer.said(), seconds=60)  # type: ignore[misc]
        world.crown(1 + turn % 2)
        time.sleep(pause)
        os.kill(scorer.process.pid, signal.SIGKILL)
        scorer.close()
    world.crown(1)
    check_whole(world)
