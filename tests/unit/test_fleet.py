"""The workers of a scorer, as real processes that speak with the supervisor and answer nobody else."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry.ledger import Champion, Change
from serving.fleet import Fleet, Hooks
from serving.member import Member
from serving.messages import LONGEST_LINE, Status
from serving.phases import Serving
from validation.errors import RegistryError

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
READY_SECONDS = 1.0

# Says what it is asked to the file of its name: "commit 2" and so on. `ways`: "VERSION:WAY" for what it cannot do.
WORKER = """
import json, os, signal, socket, sys
control, folder, *ways = sys.argv[1:]
link = socket.socket(fileno=int(control))
lines, ways, tickets = link.makefile("r"), dict(way.split(":") for way in ways), {}
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
note = open(f"{folder}/{os.getpid()}", "a", buffering=1)
def say(kind, **more):
    link.sendall((json.dumps({"type": kind, **more}) + "\\n").encode())
if "start" in ways:
    os._exit(3)
say("Started")
for text in lines:
    asked = json.loads(text)
    kind, ticket = asked["type"], asked.get("ticket")
    if kind == "Prepare":
        tickets[ticket] = version = asked["champion"]["change"]["version"]
        way = ways.get(version, "ready")
        note.write(f"prepare {version}\\n")
        if way == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if way == "stops":
            os.kill(os.getpid(), signal.SIGSTOP)
        if way == "fails":
            say("Failed", ticket=ticket, why="no memory")
        if way == "ready":
            say("Ready", ticket=ticket)
    elif kind == "Commit":
        note.write(f"commit {tickets[ticket]}\\n")
        if ways.get("commit") != "silent":
            say("Committed", ticket=ticket)
    elif kind == "Listen":
        note.write("listen\\n")
        say("Listening")
    elif kind == "Status":
        note.write(f"told {asked['trouble']}\\n")
    elif kind == "Ping":
        say("Pong", number=asked["number"])
"""


def champion(version: int) -> Champion:
    change = Change(
        pipeline="trips", kind="promotion", version=str(version), bundle_sha256=str(version) * 64, trained_until=NOON,
        why="test", data_time=NOON, actor="test",
    )  # fmt: skip
    return Champion(epoch=version, change=change, from_version=None, recorded_at=NOON)


class World:
    """A fleet whose n-th worker has the n-th of `ways`; later ones have none."""

    def __init__(self, folder: Path, ways: Sequence[str], *, count: int) -> None:
        self.folder, self.ways = folder, list(ways)
        self.lost: list[tuple[str, str]] = []
        self.buried: list[int] = []
        self.taken: list[tuple[str, int]] = []  # the version, and how many took requests by then
        self.broken = ""
        self.odd: Exception | None = None
        self.together: threading.Barrier | None = None  # repairs wait for one another
        hooks = Hooks(spawn=self.spawn, repair=self.repair, lost=lambda *told: self.lost.append(told),
                      buried=self.buried.append, taken=self.take)  # fmt: skip
        self.fleet = Fleet(hooks, count=count, ready_seconds=READY_SECONDS)
        self.fleet.looked.set()

    async def spawn(self) -> Member:
        ours, theirs = socket.socketpair()
        way = self.ways.pop(0) if self.ways else ""
        with theirs:
            command = [sys.executable, "-S", "-E", "-c", WORKER, str(theirs.fileno()), str(self.folder), *way.split()]
            process = await asyncio.create_subprocess_exec(*command, pass_fds=(theirs.fileno(),))
        return Member(process, *await asyncio.open_connection(sock=ours, limit=LONGEST_LINE))

    def repair(self, champion: Champion) -> Path:
        if self.together:
            self.together.wait(5)
        if self.odd:
            raise self.odd
        if self.broken:
            raise RegistryError(self.broken)
        return self.folder / champion.change.version

    def take(self, champion: Champion) -> None:
        self.taken.append((champion.change.version, len(self.fleet.workers)))

    async def swap(self, version: int) -> int:
        new = Serving(champion=champion(version), folder=self.folder / str(version))
        return (await self.fleet.swap(new)).workers

    def notes(self, pid: int) -> list[str]:
        return (self.folder / str(pid)).read_text().splitlines()

    def living(self) -> list[list[str]]:
        """What the workers that take requests were asked."""
        return [self.notes(member.pid) for member in self.fleet.workers.values()]


def running(
    folder: Path, *ways: str, count: int = 2
) -> "Callable[[Callable[[World], Coroutine[Any, Any, None]]], None]":
    """Run the act with a fleet that is up; it is stopped afterwards."""

    @asynccontextmanager
    async def world() -> AsyncIterator[World]:
        made = World(folder, ways, count=count)
        task = asyncio.create_task(made.fleet.run())
        try:
            await asyncio.wait_for(made.fleet.up.wait(), 20)
            yield made
        finally:
            await made.fleet.stop(seconds=5)
            await task

    async def whole(act: "Callable[[World], Coroutine[Any, Any, None]]") -> None:
        async with world() as made:
            await act(made)

    return lambda act: asyncio.run(whole(act))


async def until(happens: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not happens():
            await asyncio.sleep(0.02)


def test_all_prepare_before_any_commits_and_a_new_worker_gets_it_before_it_listens(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        assert await world.swap(1) == 2
        assert world.living() == [["listen", "prepare 1", "commit 1"]] * 2
        one = next(iter(world.fleet.workers.values()))
        one.kill()
        await until(lambda: one.pid in world.buried and len(world.fleet.workers) == 2)
        assert world.living()[-1] == ["prepare 1", "commit 1", "listen"]
        assert world.taken == [("1", 1)], "told before the new worker takes requests"

    running(tmp_path)(act)


@pytest.mark.parametrize("way", ["fails", "dies", "stops", "hangs"])
def test_a_worker_that_cannot_has_no_veto_and_is_replaced(tmp_path: Path, way: str) -> None:
    async def act(world: World) -> None:
        assert await world.swap(1) == 2
        began = asyncio.get_running_loop().time()
        assert await world.swap(2) == 1
        assert asyncio.get_running_loop().time() - began < READY_SECONDS + 5
        await until(lambda: len(world.buried) == 1 and len(world.fleet.workers) == 2)
        assert [notes[-1] for notes in world.living()] == ["commit 2", "listen"]
        assert len(world.buried) == 1
        assert (tmp_path / str(world.buried[0])).read_text().splitlines()[-1] == "prepare 2"

    running(tmp_path, f"2:{way}", "")(act)


def test_a_worker_that_does_not_acknowledge_the_commit_is_gone_when_the_swap_is_over(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        both = list(world.fleet.workers.values())
        assert await world.swap(1) == 1
        assert sum(member.alive for member in both) == 1

    running(tmp_path, "commit:silent", "")(act)


def test_when_no_worker_can_the_swap_is_refused_and_all_serve_on(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        await world.swap(1)
        with pytest.raises(RegistryError, match="no worker could load it: no memory"):
            await world.swap(2)
        serving = world.fleet.serving("trips")
        assert serving is not None
        assert serving.champion == champion(1)
        assert world.buried == []
        assert await world.swap(3) == 2

    running(tmp_path, "2:fails", "2:fails")(act)


def test_without_any_worker_the_swap_waits_for_none(tmp_path: Path) -> None:
    async def whole() -> None:
        world = World(tmp_path, [], count=1)
        assert await world.swap(1) == 0
        task = asyncio.create_task(world.fleet.run())
        await asyncio.wait_for(world.fleet.up.wait(), 20)
        assert world.living() == [["prepare 1", "commit 1", "listen"]]
        await world.fleet.stop(seconds=5)
        await task

    asyncio.run(whole())


def test_a_worker_whose_event_loop_stands_still_is_replaced_without_a_swap(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        await world.swap(1)
        stuck = next(iter(world.fleet.workers.values()))
        os.kill(stuck.pid, signal.SIGSTOP)
        await until(lambda: stuck.pid in world.buried)
        await until(lambda: len(world.fleet.workers) == 2)

    running(tmp_path)(act)


def test_a_bundle_that_was_lost_on_this_machine_stops_only_its_pipeline(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        await world.swap(1)
        world.broken = "the disk is full"
        (only,) = world.fleet.workers.values()
        only.kill()
        await until(lambda: only.pid in world.buried and world.fleet.workers)
        assert world.lost == [("trips", "the disk is full")]
        assert world.fleet.serving("trips") is None
        assert world.living() == [["listen"]]
        world.broken = ""
        assert await world.swap(1) == 1

    running(tmp_path, count=1)(act)


def test_two_new_workers_that_fail_one_pipeline_together_lose_it_once_and_both_are_up(tmp_path: Path) -> None:
    async def whole() -> None:
        world = World(tmp_path, [], count=2)
        world.broken, world.together = "no store", threading.Barrier(2)
        await world.swap(1)
        task = asyncio.create_task(world.fleet.run())
        try:
            await asyncio.wait_for(world.fleet.up.wait(), 10)
            assert world.living() == [["listen"]] * 2
            assert (world.lost, world.buried) == ([("trips", "no store")], [])
        finally:
            world.fleet.kill()
            await task

    asyncio.run(whole())


def test_who_fails_what_a_swap_has_replaced_meanwhile_gives_up_nothing(tmp_path: Path) -> None:
    async def whole() -> None:
        world, both = World(tmp_path, ["1:fails"], count=1), threading.Barrier(2)
        world.together = both
        await world.swap(1)
        task = asyncio.create_task(world.fleet.run())
        try:
            await until(lambda: both.n_waiting)
            await world.swap(2)
            world.together = None
            await asyncio.to_thread(both.wait, 5)
            await asyncio.wait_for(world.fleet.up.wait(), 10)
            assert world.living() == [["prepare 1", "prepare 2", "commit 2", "listen"]]
            assert world.lost == []
        finally:
            world.fleet.kill()
            await task

    asyncio.run(whole())


def test_an_error_that_nobody_expected_costs_one_worker_and_not_its_place(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        await world.swap(1)
        world.odd = ValueError("a defect")
        (only,) = world.fleet.workers.values()
        only.kill()
        await until(lambda: len(world.buried) == 2)
        world.odd = None
        await until(lambda: world.fleet.workers)
        assert world.living() == [["prepare 1", "commit 1", "listen"]]

    running(tmp_path, count=1)(act)


def test_who_dies_at_once_is_started_again_and_again_but_not_without_pause(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        assert len(world.fleet.workers) == 1, "the other one serves meanwhile"
        await asyncio.sleep(1.2)
        assert 2 <= len(world.buried) <= 3, "at once, after 0.5 s, after 1 s"

    running(tmp_path, "", *["start:dies"] * 9)(act)


def test_what_is_told_of_a_pipeline_reaches_each_worker_also_new_ones(tmp_path: Path) -> None:
    async def act(world: World) -> None:
        await world.swap(1)
        world.fleet.tell(Status("trips", "degraded: no route", NOON, {}))
        (only,) = world.fleet.workers.values()
        await until(lambda: world.living() == [["listen", "prepare 1", "commit 1", "told degraded: no route"]])
        only.kill()
        await until(lambda: only.pid in world.buried and world.fleet.workers)
        assert world.living() == [["prepare 1", "commit 1", "told degraded: no route", "listen"]]

    running(tmp_path, count=1)(act)
