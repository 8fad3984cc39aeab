"""Delivery to SQLite, the embedded case: a writer at a time, readers beside it (WAL), and no server.

NOTE: SQLite has no NaN, which becomes NULL; moments are texts of one length, lists are JSON.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from storage.publishing import statements
from storage.publishing.columns import known, quoted, sqlite_types
from validation.errors import AndonError, DefinitionError, RefusedError, ServiceDownError

_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PROTOCOL", "SQLITE_NOMEM")


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A file; made, with its folder, on first use."""

    path: Path
    seconds: float
    place: str
    moment: str = "TEXT"

    @classmethod
    def of(cls, url: str, *, seconds: float) -> Self:
        """The file of `sqlite:///PATH`; an absolute path makes four slashes."""
        path = url.removeprefix("sqlite:///")
        if not path or path.startswith(":") or "?" in path or "\0" in path:
            raise DefinitionError("ANDON_DELIVERY_DATABASE must name a file: sqlite:///PATH, without options")
        return cls(Path(path).absolute(), seconds, f"sqlite:///{Path(path).absolute()}")

    def types(self, schema: pl.Schema) -> dict[str, str]:
        """The type of each column there."""
        return sqlite_types(schema)

    def look(self) -> str:
        """Whether it is a database; made is none."""
        if not self.path.exists():
            return f"{self.place}, made at first use"
        with self._explained(), closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        return self.place

    @contextmanager
    def session(self, rows: int = 0) -> Iterator["SqliteSession"]:  # noqa: ARG002 - as PostgreSQL's
        """A connection, which waits `seconds` for another writer."""
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=self.seconds, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")  # what the ledger calls delivered outlives a power cut
                yield SqliteSession(connection)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorname", "")
            if code.startswith(_PASSING):
                remedy = "another program writes there or the disk is full: try again later"
                raise ServiceDownError(f"{self.place}: {error}; {remedy}") from error
            remedy = "see that the file is a database that we may write (ANDON_DELIVERY_DATABASE)"
            raise RefusedError(f"{self.place}: {error}; {remedy}") from error
        except AndonError:
            raise
        except OSError as error:
            raise RefusedError(f"{self.place}: {error.strerror}; see that the folder can be written") from error


class SqliteSession:
    """See `storage.publishing.database.Session`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self._connection.execute(sql, _numbered(values)).fetchall()

    def do(self, sql: str, *values: object) -> None:
        """A statement without rows."""
        self._connection.execute(sql, _numbered(values))

    def lock(self, name: str) -> None:  # noqa: ARG002 - there is one lock for all
        """Become the only writer."""
        self._connection.execute("BEGIN IMMEDIATE")

    def columns(self, relation: str) -> dict[str, str]:
        """Columns and their types."""
        return dict(self.ask("SELECT name, type FROM pragma_table_info($1)", relation))

    def make_view(self, name: str, select: str, *, mark: str) -> None:
        """Make it anew."""
        self.do(f"DROP VIEW IF EXISTS {quoted(name)}")
        self.do(f"CREATE VIEW {quoted(name)} AS {select} /* {mark.replace('*/', '')} */")

    def mark(self, view: str) -> str:
        """The comment at the end of its text."""
        found = self.ask("SELECT sql FROM sqlite_master WHERE type = 'view' AND name = $1", view)
        return str(found[0][0]).rpartition("/* ")[2].removesuffix(" */") if found else ""

    def index(self, table: str, key: Sequence[str]) -> None:
        """By key for lookups and the view, by partition for its replacement."""
        for name, columns in (("by_key", list(key)), ("by_partition", ["pipeline", "partition"])):
            index = quoted(f"{table}_{name}")
            self.do(f"DROP INDEX IF EXISTS {index}")
            self.do(f"CREATE INDEX {index} ON {quoted(table)} ({statements.listed(columns)})")

    def load(self, table: str, types: Mapping[str, str], part: pl.DataFrame) -> None:
        """Insert them one by one: there is no network between."""
        marks = ", ".join("?" * len(types))
        insert = f"INSERT INTO {quoted(table)} ({statements.listed(list(types))}) VALUES ({marks})"  # noqa: S608
        self._connection.executemany(insert, _plain(known(part).select(list(types))).iter_rows())

    def commit(self) -> None:
        """Make it last, if a transaction is open."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")


def _numbered(values: Sequence[object]) -> dict[str, object]:
    return {str(number): value for number, value in enumerate(values, start=1)}


def _plain(part: pl.DataFrame) -> pl.DataFrame:
    """Values that SQLite knows."""
    moments = [name for name, dtype in part.schema.items() if isinstance(dtype, pl.Datetime)]
    days = [name for name, dtype in part.schema.items() if isinstance(dtype, pl.Date)]
    numbers = [name for name, dtype in part.schema.items() if isinstance(dtype, pl.Decimal)]
    lists = [name for name, dtype in part.schema.items() if isinstance(dtype, pl.List)]
    return part.with_columns(
        *(pl.col(name).dt.to_string(_format(part.schema[name])) for name in moments),
        pl.col(days).dt.to_string("%Y-%m-%d"),
        pl.col(numbers).cast(pl.String),
        *(pl.Series(name, [_json(item) for item in part[name].to_list()], dtype=pl.String) for name in lists),
    )


def _format(dtype: pl.DataType) -> str:
    zone = "+00:00" if isinstance(dtype, pl.Datetime) and dtype.time_zone else ""
    return f"%Y-%m-%d %H:%M:%S%.6f{zone}"


def _json(values: list[Any] | None) -> str | None:
    return None if values is None else json.dumps([_for_json(value) for value in values])


def _for_json(value: Any) -> Any:
    """NOTE: JSON has no NaN."""
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - only NaN is not itself
        return None
    return value if isinstance(value, bool | int | float | str | None) else str(value)
