"""Delivery to PostgreSQL by ADBC: rows go as Arrow, by COPY, in the transaction that takes out what they replace.

Every call ends in bounded time, whether the server refuses, is busy, or says nothing at all.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

import polars as pl
from pydantic import SecretStr

from storage.deadline import bounded
from storage.publishing import statements
from storage.publishing.columns import known, postgres_types, quoted
from validation.errors import DefinitionError, RefusedError, ServiceDownError

T = TypeVar("T")

_ROWS_PER_SECOND = 5_000  # what a slow server can do at least
_GRACE_SECONDS = 5.0  # for the server's own deadlines, which tell more
# A client that is gone holds its locks no longer than a minute.
_KEEPALIVE = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
_OPTIONS = {"connect_timeout": "10", "application_name": "andon", "keepalives_idle": "30", "keepalives_interval": "10"}
# Of the SQLSTATEs: connection, state of the transaction, rollback, resources, locks, operator, system, internal.
_PASSING = ("08", "25", "40", "53", "55", "57", "58", "XX")
_FOR_A_PERSON = ("authentication failed", "does not exist", "pg_hba.conf", "no password", "permission denied")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """A database of a server. `secrets`: what no message may hold."""

    url: SecretStr
    seconds: float
    place: str
    secrets: tuple[str, ...] = field(repr=False)
    moment: str = "timestamp with time zone"

    @classmethod
    def of(cls, url: SecretStr, *, seconds: float) -> Self:
        """The database of `postgresql://user:password@host:port/name?options`."""
        text = url.get_secret_value()
        _, _, query = text.partition("?")
        told = dict(part.partition("=")[::2] for part in query.split("&") if part)
        if _BAD_ESCAPE.search(text) or any("=" not in part for part in query.split("&") if part) or "#" in text:
            raise DefinitionError(
                "ANDON_DELIVERY_DATABASE is no URL: signs like %, # and @ in a password are written as %25, %23, %40"
            )
        parts = urlsplit(text)
        passwords = {parts.password or "", told.get("password", ""), told.get("sslpassword", "")} - {""}
        host = told.get("host", "") or parts.netloc.rpartition("@")[2]
        place = f"postgresql://{unquote(host)}/{told.get('dbname', '') or parts.path.lstrip('/')}"
        return cls(url, seconds, place, tuple({*passwords, *map(unquote, passwords)}))

    def types(self, schema: pl.Schema) -> dict[str, str]:
        """The type of each column there."""
        return postgres_types(schema)

    def look(self) -> str:
        """Whether it lets us in."""
        with self.session() as session:
            session.ask("SELECT 1")
        return self.place

    @contextmanager
    def session(self, rows: int = 0) -> Iterator["PostgresSession"]:
        """A connection; with the deadlines of a delivery of so many rows."""
        from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]

        deadline = self.seconds + rows / _ROWS_PER_SECOND
        session = None
        try:
            connection = self.within(lambda: dbapi.connect(self._with_options()), self.seconds)
            session = PostgresSession(connection, self, deadline)
            yield session
        except dbapi.Error as error:
            raise self._told(error) from None  # what the driver says may hold the password
        finally:
            if session is not None:
                session.close()

    def _with_options(self) -> str:
        text = self.url.get_secret_value()
        absent = [f"{name}={value}" for name, value in _OPTIONS.items() if f"{name}=" not in text]
        return text + ("&" if "?" in text else "?") + "&".join(absent)

    def within(self, call: Callable[[], T], seconds: float) -> T:
        """What `call` returns; ServiceDownError when the server says nothing for so long."""
        try:
            return bounded(call, seconds=seconds + _GRACE_SECONDS, what=self.place)
        except ServiceDownError:
            remedy = "see that the server answers, or give it more time with ANDON_REMOTE_SECONDS"
            raise ServiceDownError(f"{self.place}: no answer within {seconds:.0f} s; {remedy}") from None

    def _told(self, error: Any) -> Exception:
        lines = str(error).splitlines() or [""]
        said = lines[0].partition("ERROR:")[2].strip() or lines[0].partition("[libpq]")[2].strip() or lines[0]
        for secret in self.secrets:
            said = said.replace(secret, "***")
        state, said = error.sqlstate or "", said[:_LONGEST_TEXT]
        if state.startswith(_PASSING) or not (state or any(text in said for text in _FOR_A_PERSON)):
            return ServiceDownError(f"{self.place}: {said}; see that the server answers, then try again")
        return RefusedError(f"{self.place}: {said}; correct the table, its rights, or ANDON_DELIVERY_DATABASE")


class PostgresSession:
    """See `storage.publishing.database.Session`."""

    def __init__(self, connection: Any, store: PostgresStore, deadline: float) -> None:
        self._connection, self._store, self._deadline = connection, store, deadline
        self._cursor = connection.cursor()
        self._is_lost = self._is_set = False

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        self._begin()
        return self._call(lambda: self._asked(sql, values))

    def do(self, sql: str, *values: object) -> None:
        """A statement without rows."""
        self._begin()
        self._call(lambda: self._cursor.execute(sql, values or None))

    def lock(self, name: str) -> None:
        """An advisory lock, which ends with the transaction; ServiceDownError when another holds it for too long."""
        self.ask("SELECT 1 FROM pg_advisory_xact_lock(hashtextextended($1, 0))", f"andon/{name}")

    def columns(self, relation: str) -> dict[str, str]:
        """Columns and their types."""
        told = self.ask(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass($1)::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            quoted(relation),
        )
        return dict(told)

    def make_view(self, name: str, select: str, *, mark: str) -> None:
        """Make it, or add columns: who may read it stays as it is."""
        self.do(f"CREATE OR REPLACE VIEW {quoted(name)} AS {select}")
        text = mark.replace("'", "''")
        self.do(f"COMMENT ON VIEW {quoted(name)} IS '{text}'")

    def mark(self, view: str) -> str:
        """Its comment."""
        return str(
            self.ask("SELECT coalesce(obj_description(to_regclass($1)::oid, 'pg_class'), '')", quoted(view))[0][0]
        )

    def index(self, table: str, key: Sequence[str]) -> None:
        """By key for lookups and the view; by partition, whose rows lie together, for their replacement."""
        by_key, by_partition = quoted(f"{table}_by_key"), quoted(f"{table}_by_partition")
        self.do(f"DROP INDEX IF EXISTS {by_key}")
        self.do(f"CREATE INDEX {by_key} ON {quoted(table)} ({statements.listed(list(key))})")
        # NOTE: a B-tree would take as long as all the rest of a delivery.
        self.do(
            f"CREATE INDEX IF NOT EXISTS {by_partition} ON {quoted(table)} USING brin "
            '("pipeline", "partition") WITH (autosummarize = on)'
        )

    def load(self, table: str, types: Mapping[str, str], part: pl.DataFrame) -> None:
        """By COPY, in binary: no text is made of any value."""
        if part.height:
            rows = known(part).select(list(types)).to_arrow(compat_level=pl.CompatLevel.oldest())
            self._call(lambda: self._cursor.adbc_ingest(table, rows, mode="append"))

    def commit(self) -> None:
        """Make it last."""
        self._call(self._connection.commit)
        self._is_set = False

    def close(self) -> None:
        """Hang up. A call that never came back does it itself, should it ever."""
        if not self._is_lost:
            with suppress(Exception):
                self._cursor.close()
            with suppress(Exception):
                self._connection.close()

    def _asked(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql, values or None)
        rows: list[tuple[Any, ...]] = self._cursor.fetchall()
        return rows

    def _begin(self) -> None:
        """Deadlines of the server's own for this transaction, whatever rule it has for its users."""
        if self._is_set:
            return
        self._is_set = True
        wanted = {
            "lock_timeout": f"{self._store.seconds * 1000:.0f}",
            "statement_timeout": f"{self._deadline * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{(self._deadline + _GRACE_SECONDS) * 1000:.0f}",
            **_KEEPALIVE,
        }
        settings = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in wanted.items())
        self.ask(f"SELECT {settings}")

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return self._store.within(lambda: self._ended(call), self._deadline)
        except ServiceDownError:
            self._is_lost = True
            raise

    def _ended(self, call: Callable[[], T]) -> T:
        try:
            return call()
        finally:
            if self._is_lost:
                self._connection.close()
