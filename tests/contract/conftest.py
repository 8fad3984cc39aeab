"""What the conformance suites share: one PostgreSQL and one S3 server, and each kind of ledger, new and empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.ledger import Ledger
from registry.memory import MemoryLedger
from registry.sql import open_ledger
from tests.contract.ledger_world import KEY
from tests.postgres import create_database, postgres_server
from tests.s3 import s3_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def database(postgres: str) -> str:
    """One for all who make a schema of their own in it."""
    return create_database(postgres)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'folder' / 'ledger.db'}"
    return create_database(request.getfixturevalue("postgres"))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    if request.param == "memory":
        return MemoryLedger(key=KEY)
    if request.param == "sqlite":
        return open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", key=KEY)
    return open_ledger(create_database(request.getfixturevalue("postgres")), key=KEY)
