"""Files, Delta tables, PostgreSQL and SQLite keep the promises of a channel."""

import json
import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from pydantic import SecretStr

from storage.address import Address
from storage.publishing.database import open_database
from storage.publishing.files import FilesChannel
from storage.publishing.port import Channel
from storage.publishing.table import TableChannel
from storage.remote import Remote
from storage.tables import scan
from tests.contract.publisher_promises import KEY, PublisherPromises, World
from tests.postgres import create_schema
from tests.s3 import create_bucket

SECONDS = 20
SLOW_S3 = pytest.param("s3", marks=pytest.mark.slow)
Rows = list[dict[str, Any]]


def ordered(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: (row["run_id"], row["prediction_id"]))


class Folder:
    """Parquet files."""

    replaces = False

    def __init__(self, root: Address, remote: Remote, work: Path) -> None:
        self.root, self.remote, self.work = root, remote, work

    def channel(self) -> Channel:
        return FilesChannel(self.root, remote=self.remote, work=self.work)

    def rows(self) -> Rows:
        options = self.remote.storage_options() if self.root.is_remote else None
        pattern = f"{self.root}/*.parquet"
        try:
            frames = pl.scan_parquet(pattern, storage_options=options, missing_columns="insert", extra_columns="ignore")
            names = set(frames.select("run_id").unique().collect()["run_id"])
        except (pl.exceptions.ComputeError, FileNotFoundError):
            return []
        found = [pl.read_parquet(f"{self.root}/{name}.parquet", storage_options=options) for name in names]
        return ordered([row for frame in found for row in frame.to_dicts()])


class Table:
    """A Delta table."""

    replaces = True

    def __init__(self, root: Address, remote: Remote, work: Path) -> None:
        self.root, self.remote, self.work = root, remote, work

    def channel(self) -> Channel:
        return TableChannel(self.root, remote=self.remote, work=self.work)

    def rows(self) -> Rows:
        table = scan(self.root, self.remote)
        return [] if table is None else ordered(table.collect().to_dicts())


class Postgres:
    """A table of a database of PostgreSQL."""

    replaces = True

    def __init__(self, url: str) -> None:
        self.url = url

    def channel(self) -> Channel:
        return open_database(SecretStr(self.url), "scores", key=KEY, seconds=SECONDS)

    def rows(self, sql: str = "SELECT * FROM scores") -> Rows:
        try:
            with psycopg.connect(self.url) as connection:
                connection.execute("SET TIME ZONE 'UTC'")
                found = connection.execute(sql)
                names = [column.name for column in found.description or ()]
                return ordered([dict(zip(names, row, strict=True)) for row in found])
        except psycopg.errors.UndefinedTable:
            return []


READ: dict[str, Callable[[Any], Any]] = {
    "INTEGER BOOLEAN": bool,
    "TEXT DATE": date.fromisoformat,
    "TEXT TIMESTAMP WITH ZONE": datetime.fromisoformat,
    "TEXT TIMESTAMP WITHOUT ZONE": datetime.fromisoformat,
    "TEXT JSON": json.loads,
}


class Sqlite:
    """A table of a database of SQLite, whose values become those of Python by their declared types."""

    replaces = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def channel(self) -> Channel:
        return open_database(SecretStr(f"sqlite:///{self.path}"), "scores", key=KEY, seconds=SECONDS)

    def rows(self, table: str = "scores") -> Rows:
        if not self.path.exists():
            return []
        connection = sqlite3.connect(self.path, timeout=SECONDS)
        try:
            kinds = dict(connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)))
            found = connection.execute(f"SELECT * FROM {table}") if kinds else []  # noqa: S608
            return ordered([dict(map(self._value, kinds.items(), row)) for row in found])
        finally:
            connection.close()

    def _value(self, column: tuple[str, str], value: Any) -> tuple[str, Any]:
        read = READ.get(column[1])
        return column[0], value if read is None or value is None else read(value)


class TestFiles(PublisherPromises):
    @pytest.fixture(params=["local", SLOW_S3])
    def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> World:
        if request.param == "local":
            return Folder(Address.of(tmp_path / "scores"), Remote(), tmp_path / "work")
        s3 = request.getfixturevalue("s3")
        return Folder(create_bucket(s3) / "lake/scores", Remote(endpoint=s3), tmp_path / "work")


class TestTable(PublisherPromises):
    @pytest.fixture(params=["local", SLOW_S3])
    def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> World:
        if request.param == "local":
            return Table(Address.of(tmp_path / "scores"), Remote(), tmp_path / "work")
        s3 = request.getfixturevalue("s3")
        return Table(create_bucket(s3) / "lake/scores", Remote(endpoint=s3), tmp_path / "work")


class TestPostgres(PublisherPromises):
    @pytest.fixture
    def world(self, database: str) -> World:
        return Postgres(create_schema(database))


class TestSqlite(PublisherPromises):
    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return Sqlite(tmp_path / "new" / "delivery.db")
