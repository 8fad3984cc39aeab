"""One Prefect server for all flow tests, and installations to start from, made once and copied for each test."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from andon.processes import environment, free_port, start_prefect_server
from andon.settings import Settings
from demo.stage import in_process_flows
from demo.weeks import Replay
from tests.flows import deciding
from tests.flows.world import World, copy_of, day, weeks_of_bikes


@pytest.fixture(scope="package")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server, to which flow calls in this process talk."""
    from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, PREFECT_HOME, temporary_settings

    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    env = environment(Settings(home=home), prefect_port=port)
    server = start_prefect_server(home, port, env=env)
    ours = {PREFECT_API_URL: env["PREFECT_API_URL"], PREFECT_HOME: env["PREFECT_HOME"]}
    try:
        with temporary_settings(ours, restore_defaults={PREFECT_API_KEY}), in_process_flows():
            yield env["PREFECT_API_URL"]
    finally:
        server.stop()


@pytest.fixture(scope="session")
def bikes(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return weeks_of_bikes(tmp_path_factory.mktemp("arriving"))


@pytest.fixture(scope="package")
def untrained(tmp_path_factory: pytest.TempPathFactory, prefect: str, bikes: Replay) -> World:
    """Template: nothing has arrived; MLflow's tables are there, which takes seconds."""
    assert prefect
    made = World(home=tmp_path_factory.mktemp("untrained"), weeks=bikes.weeks)
    made.define()
    with acting(made.home):
        assert made.site.store.projected("bikes") is None
    return made


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, untrained: World) -> World:
    """Template: on 31 January the first champion was promoted; the week that begins has arrived, nothing is scored."""
    from flows.ingest import ingest
    from flows.retrain import retrain

    made = copy_of(untrained, tmp_path_factory.mktemp("trained") / "home")
    with acting(made.home):
        for number in range(6):
            made.land(number)
            ingest("bikes", as_of=made.weeks[number].starts_at)
        retrain("bikes", as_of=day(1, 31))
        assert made.champion() == "1"
    return made


@pytest.fixture(scope="package")
def retrained(tmp_path_factory: pytest.TempPathFactory, trained: World) -> World:
    """Template: the world changed in February, and on the 14th the second champion was promoted."""
    from flows.ingest import ingest
    from flows.monitor import monitor
    from flows.retrain import retrain

    made = copy_of(trained, tmp_path_factory.mktemp("retrained") / "home")
    with acting(made.home):
        made.land(6, 7)
        ingest("bikes", as_of=day(2, 14))
        monitor("bikes", as_of=day(2, 14))
        (intent,) = made.ledger.intents("bikes", states=("open",))
        retrain("bikes", intent=intent.id, as_of=day(2, 14), reason=intent.reason)
        assert made.champion() == "2"
    return made


@pytest.fixture(scope="package")
def registered(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Template: four versions in MLflow, of which the ledger knows nothing."""
    home = tmp_path_factory.mktemp("registered") / "home"
    with acting(home):
        return deciding.build(home)


@pytest.fixture
def decided(registered: World, tmp_path: Path, prefect: str) -> Iterator[deciding.Deciding]:
    """Version 1 was champion, version 2 is; 3 and 4 nobody has judged."""
    assert prefect
    home = tmp_path / "home"
    with acting(home):
        copy_of(registered, home)
        made = deciding.Deciding(home)
        made.crown("1", at=deciding.day(7))
        made.crown("2", at=deciding.day(14))
        yield made


@pytest.fixture
def empty(untrained: World, tmp_path: Path) -> Iterator[World]:
    """Nothing has arrived."""
    with acting(tmp_path / "home"):
        yield copy_of(untrained, tmp_path / "home")


@pytest.fixture
def world(trained: World, tmp_path: Path) -> Iterator[World]:
    """As on 31 January, with a champion."""
    with acting(tmp_path / "home"):
        yield copy_of(trained, tmp_path / "home")


@pytest.fixture
def later(retrained: World, tmp_path: Path) -> Iterator[World]:
    """As on 14 February, with a second champion."""
    with acting(tmp_path / "home"):
        yield copy_of(retrained, tmp_path / "home")


@contextmanager
def acting(home: Path) -> Iterator[None]:
    """The environment of an installation whose scorer does not run."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ANDON_")]:
            patch.delenv(name)
        patch.setenv("ANDON_HOME", str(home))
        patch.setenv("ANDON_PIPELINES", str(home / "pipelines"))
        patch.setenv("ANDON_SETTLE_SECONDS", "0")
        patch.setenv("ANDON_SCORER_URL", f"http://127.0.0.1:{free_port()}")
        yield
