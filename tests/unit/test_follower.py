from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.ledger import Champion, Change
from serving.follower import Follower, memory_of, remembered
from validation.errors import RegistryError, ServiceDownError

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


class World:
    """A ledger that names `champion` (or raises `down`), and workers that take each champion but the `bad`."""

    def __init__(self, home: Path) -> None:
        self.champion: Champion | None = None
        self.down: Exception | None = None
        self.bad: dict[str, Exception] = {}
        self.loads: list[str] = []
        self.crew = 2  # so many workers take requests
        self.now: Champion | None = None
        self.told: list[tuple[str | None, str]] = []  # what is served, and what is said of it
        self.looked_at: datetime | None = None
        self.home = home

    def champion_of(self, pipeline: str) -> Champion | None:
        assert pipeline == "trips"
        if self.down:
            raise self.down
        return self.champion

    def serve(self, champion: Champion, trouble: str) -> int:
        self.loads.append(champion.change.version)
        if error := self.bad.get(champion.change.version):
            raise error
        self.now = champion
        self.told.append((champion.change.version, trouble))
        return self.crew

    def workers(self) -> int:
        return self.crew

    def serving(self, pipeline: str) -> Champion | None:
        assert pipeline == "trips"
        return self.now

    def tell(self, pipeline: str, trouble: str, looked_at: datetime | None) -> None:
        assert pipeline == "trips"
        self.looked_at = looked_at
        self.told.append((self.now.change.version if self.now else None, trouble))

    def follower(self) -> Follower:
        return Follower("trips", self, champion_of=self.champion_of, memory=memory_of(self.home, "trips"))

    def again(self) -> Follower:
        """The scorer has ended, and is started again."""
        self.now = None
        return self.follower()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def champion(epoch: int, version: str) -> Champion:
    change = Change(
        pipeline="trips", kind="promotion", version=version, bundle_sha256=version * 64, trained_until=NOON,
        why="test", data_time=NOON, actor="test",
    )  # fmt: skip
    return Champion(epoch=epoch, change=change, from_version=None, recorded_at=NOON)


def seen(world: World, follower: Follower) -> tuple[str | None, str]:
    """What serves, and what is said of it, after one more look."""
    follower.step()
    return world.told[-1]


def test_a_new_champion_is_loaded_once_and_remembered(world: World) -> None:
    follower = world.follower()
    assert seen(world, follower) == (None, "")
    world.champion = champion(1, "1")
    assert seen(world, follower) == seen(world, follower) == ("1", "")
    assert world.loads == ["1"]
    assert remembered(memory_of(world.home, "trips")) == world.champion


def test_what_was_served_by_nobody_is_remembered_as_soon_as_a_worker_takes_it(world: World) -> None:
    follower, world.champion, world.crew = world.follower(), champion(1, "1"), 0
    follower.step()
    assert remembered(memory_of(world.home, "trips")) is None
    follower.taken(world.champion)
    assert remembered(memory_of(world.home, "trips")) == world.champion


def test_a_rollback_is_followed_as_well(world: World) -> None:
    follower = world.follower()
    for epoch, version in ((1, "1"), (2, "2"), (3, "1")):
        world.champion = champion(epoch, version)
        assert seen(world, follower) == (version, "")


def test_a_refused_champion_leaves_the_old_one_and_is_not_tried_again_at_once(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    follower.step()
    world.champion, world.bad = champion(2, "2"), {"2": RegistryError("other bytes; fetch again")}
    assert seen(world, follower) == seen(world, follower) == ("1", "refused: other bytes; fetch again")
    assert world.loads == ["1", "2"]


def test_a_refusal_never_delays_another_champion(world: World) -> None:
    follower, world.bad = world.follower(), {"2": RegistryError("bad")}
    for epoch, version in ((1, "1"), (2, "2")):
        world.champion = champion(epoch, version)
        follower.step()
    world.champion = champion(3, "3")
    assert seen(world, follower) == ("3", "")


def test_a_store_that_is_down_says_nothing_against_the_bundle(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    world.bad = {"1": ServiceDownError("MLflow does not answer; start it")}
    assert seen(world, follower) == (None, "degraded: MLflow does not answer; start it")


def test_without_ledger_it_serves_on_and_says_so(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    follower.step()
    world.down = OSError("no route to the ledger")
    assert seen(world, follower) == ("1", "degraded: no route to the ledger")
    world.down = None
    assert seen(world, follower) == ("1", "")


@pytest.mark.parametrize("down", [None, OSError("no route")])
def test_a_start_without_ledger_serves_what_served_last(world: World, down: Exception | None) -> None:
    world.champion = champion(1, "1")
    world.follower().step()
    world.champion, world.down = None, down
    version, status = seen(world, world.again())
    assert (version, status.split(":")[0]) == ("1", "degraded")


def test_a_start_with_a_champion_that_cannot_be_loaded_serves_what_served_last(world: World) -> None:
    world.champion = champion(1, "1")
    world.follower().step()
    world.champion, world.bad = champion(2, "2"), {"2": RegistryError("bad")}
    assert seen(world, world.again()) == ("1", "refused: bad")


def test_what_no_worker_has_loaded_yet_is_remembered_when_one_has(world: World) -> None:
    follower, world.champion, world.crew = world.follower(), champion(1, "1"), 0
    assert seen(world, follower) == seen(world, follower) == ("1", "")
    assert remembered(memory_of(world.home, "trips")) is None
    world.crew = 1
    assert seen(world, follower) == ("1", "")
    assert remembered(memory_of(world.home, "trips")) == world.champion
    assert world.loads == ["1"]


@pytest.mark.parametrize("down", [None, OSError("no route")])
def test_a_champion_that_the_first_worker_cannot_load_gives_way_to_what_served_last(
    world: World, down: Exception | None
) -> None:
    world.champion = last = champion(1, "1")
    world.follower().step()
    follower, world.champion, world.crew = world.again(), champion(2, "2"), 0
    assert seen(world, follower) == ("2", "")
    world.now, world.crew, world.down = None, 1, down
    trouble = "degraded: no route" if down else "refused: no worker could load it; the scorer's log says why"
    assert seen(world, follower) == seen(world, follower) == ("1", trouble)
    assert world.loads == ["1", "2", "1"]
    assert remembered(memory_of(world.home, "trips")) == last


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_memory_is_no_memory(world: World, content: bytes) -> None:
    memory = memory_of(world.home, "trips")
    memory.parent.mkdir(parents=True)
    memory.write_bytes(content)
    assert remembered(memory) is None
    assert seen(world, world.again()) == (None, "")


def test_memory_that_cannot_be_written_stops_nothing(world: World) -> None:
    (world.home / "bundles").write_text("a file in the way")
    world.champion = champion(1, "1")
    assert seen(world, world.again()) == ("1", "")


def test_the_same_version_with_other_bytes_is_another_champion(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    follower.step()
    world.champion = replace(world.champion, change=replace(world.champion.change, bundle_sha256="f" * 64))
    follower.step()
    assert world.loads == ["1", "1"]


def test_a_champion_that_no_worker_can_serve_any_more_is_swapped_in_again(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    follower.step()
    world.now = None
    assert seen(world, follower) == ("1", "")
    assert world.loads == ["1", "1"]


def test_the_moment_of_the_last_good_look_is_told_and_stays_while_the_ledger_is_down(world: World) -> None:
    follower = world.follower()
    follower.step()
    looked_at = world.looked_at
    assert looked_at is not None
    world.down = OSError("no route")
    follower.step()
    assert world.looked_at == looked_at


def test_what_starts_without_a_ledger_is_never_said_to_be_ready(world: World) -> None:
    world.champion = champion(1, "1")
    world.follower().step()
    world.champion, world.down, world.told = None, OSError("no route"), []
    world.again().step()
    assert world.told == [("1", "degraded: no route")] * 2
