import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from registry.ledger import Champion, Change
from serving.decoding import FrameDecoder
from serving.follower import Follower, remembered
from serving.slot import Served, Slot
from storage.prediction_log import PredictionLog
from validation.errors import RegistryError, ServiceDownError

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


class Half:
    """A model that always answers a half."""

    def predict(self, raw: pl.DataFrame) -> np.ndarray:
        return np.full(raw.height, 0.5)


class World:
    """A ledger that names `champion` (or raises `down`), and a store whose bundles are all good but the `bad`."""

    def __init__(self, home: Path) -> None:
        self.champion: Champion | None = None
        self.down: Exception | None = None
        self.bad: dict[str, Exception] = {}
        self.loads: list[str] = []
        self.home = home
        self.log = PredictionLog(home / "log", {})

    def champion_of(self, pipeline: str) -> Champion | None:
        assert pipeline == "trips"
        if self.down:
            raise self.down
        return self.champion

    def load(self, champion: Champion) -> Served:
        self.loads.append(champion.change.version)
        if error := self.bad.get(champion.change.version):
            raise error
        return Served(
            champion=champion, loaded_at=NOON, decoder=FrameDecoder({}, required=()), predictor=Half(), log=self.log
        )

    def follower(self) -> Follower:
        return Follower(
            Slot("trips"), champion_of=self.champion_of, load=self.load, memory=self.home / "trips" / "current.json"
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def champion(epoch: int, version: str) -> Champion:
    change = Change(
        pipeline="trips", kind="promotion", version=version, bundle_sha256=version * 64, trained_until=NOON,
        why="test", data_time=NOON, actor="test",
    )  # fmt: skip
    return Champion(epoch=epoch, change=change, from_version=None, recorded_at=NOON)


def seen(follower: Follower) -> tuple[str | None, str]:
    """What serves, and the status, after one more look."""
    follower.step()
    served = follower.slot.served
    return (served.champion.change.version if served else None), follower.slot.status


def test_a_new_champion_is_loaded_once_and_remembered(world: World) -> None:
    follower = world.follower()
    assert seen(follower) == (None, "no champion")
    world.champion = champion(1, "1")
    assert seen(follower) == seen(follower) == ("1", "ready")
    assert world.loads == ["1"]
    assert remembered(world.home / "trips" / "current.json") == world.champion


def test_a_rollback_is_followed_as_well(world: World) -> None:
    follower = world.follower()
    for epoch, version in ((1, "1"), (2, "2"), (3, "1")):
        world.champion = champion(epoch, version)
        assert seen(follower) == (version, "ready")


def test_a_refused_champion_leaves_the_old_one_and_is_not_tried_again_at_once(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    follower.step()
    world.champion, world.bad = champion(2, "2"), {"2": RegistryError("other bytes; fetch again")}
    assert seen(follower) == seen(follower) == ("1", "refused: other bytes; fetch again")
    assert world.loads == ["1", "2"]


def test_a_refusal_never_delays_another_champion(world: World) -> None:
    follower, world.bad = world.follower(), {"2": RegistryError("bad")}
    for epoch, version in ((1, "1"), (2, "2")):
        world.champion = champion(epoch, version)
        follower.step()
    world.champion = champion(3, "3")
    assert seen(follower) == ("3", "ready")


def test_a_store_that_is_down_says_nothing_against_the_bundle(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    world.bad = {"1": ServiceDownError("MLflow does not answer; start it")}
    assert seen(follower) == (None, "degraded: MLflow does not answer; start it")


def test_without_ledger_it_serves_on_and_says_so(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    follower.step()
    world.down = OSError("no route to the ledger")
    assert seen(follower) == ("1", "degraded: no route to the ledger")
    world.down = None
    assert seen(follower) == ("1", "ready")


@pytest.mark.parametrize("down", [None, OSError("no route")])
def test_a_start_without_ledger_serves_what_served_last(world: World, down: Exception | None) -> None:
    world.champion = champion(1, "1")
    world.follower().step()
    world.champion, world.down = None, down
    version, status = seen(world.follower())
    assert (version, status.split(":")[0]) == ("1", "degraded")


def test_a_start_with_a_champion_that_cannot_be_loaded_serves_what_served_last(world: World) -> None:
    world.champion = champion(1, "1")
    world.follower().step()
    world.champion, world.bad = champion(2, "2"), {"2": RegistryError("bad")}
    assert seen(world.follower()) == ("1", "refused: bad")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_memory_is_no_memory(world: World, content: bytes) -> None:
    memory = world.home / "trips" / "current.json"
    memory.parent.mkdir()
    memory.write_bytes(content)
    assert remembered(memory) is None
    assert seen(world.follower()) == (None, "no champion")


def test_memory_that_cannot_be_written_stops_nothing(world: World) -> None:
    (world.home / "trips").write_text("a file in the way")
    world.champion = champion(1, "1")
    assert seen(world.follower()) == ("1", "ready")


def test_the_same_version_with_other_bytes_is_another_champion(world: World) -> None:
    follower, world.champion = world.follower(), champion(1, "1")
    follower.step()
    world.champion = replace(world.champion, change=replace(world.champion.change, bundle_sha256="f" * 64))
    follower.step()
    assert world.loads == ["1", "1"]


def test_a_scorer_starts_without_mlflow_prefect_and_optuna() -> None:
    code = "import serving.scorer, serving.loading, sys; print({'mlflow', 'prefect', 'optuna'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
