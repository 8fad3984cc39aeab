"""The installations that the end-to-end tests share: a bare Prefect server, and a line with all its servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.processes import environment, free_port, start_prefect_server
from andon.settings import Settings
from tests.e2e import world
from tests.e2e.ingest_world import Runner, running
from tests.e2e.line import Line, open_line


@pytest.fixture(scope="module")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a Prefect server without deployments: what is to be done is done by the process itself."""
    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    env = environment(Settings(home=home), prefect_port=port)
    env["PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"] = "false"
    server = start_prefect_server(home, port, env=env)
    yield {name: value for name, value in env.items() if name.startswith("PREFECT_")}
    server.stop()


@pytest.fixture(scope="session")
def line_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the line: its history goes on from module to module."""
    return world.build(tmp_path_factory.mktemp("line") / "home")


@pytest.fixture(scope="module")
def line(line_home: Path) -> Iterator[Line]:
    with open_line(line_home) as started:
        yield started


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Does ingest's work in processes that the tests kill, pause and starve."""
    with running(tmp_path_factory.mktemp("runner")) as started:
        yield started
