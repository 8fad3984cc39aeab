"""Opening a database: SQLite or PostgreSQL by URL, its lock, its clock, and what it means when it does not answer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, type_coerce
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from registry.columns import Moment
from registry.tables import METADATA, add_new_columns
from validation.errors import DefinitionError, ServiceDownError

_BUSY_SECONDS = 30
_WAL_ATTEMPTS = 100
_DAMAGED = ("malformed", "not a database")
# One writer at a time, as on SQLite: each rule sees the newest rows, and the chain cannot fork.
_LOCK = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(4705208931826)"}
# A hung or silent peer must not hold the lock, or us, for ever. What the URL says (?options=...) wins.
_POSTGRES = {
    "connect_timeout": "10",
    "tcp_user_timeout": "30000",
    "options": f"-c lock_timeout={_BUSY_SECONDS}s -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s",
}


def connect(url: str) -> Engine:
    """An engine for the ledger's database with its tables made; ServiceDownError when it does not answer."""
    parsed = _parse(url)
    engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)
    try:
        with writing(engine) as connection:  # two processes that start at once make the tables one after the other
            METADATA.create_all(connection)
            add_new_columns(connection)
    except ServiceDownError:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is the only writer from its first statement on; an error inside rolls it back."""
    with answering(engine.url), engine.begin() as connection:
        connection.exec_driver_sql(_LOCK[engine.dialect.name])
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for one SELECT."""
    with answering(engine.url), engine.connect() as connection:
        yield connection


@contextmanager
def answering(url: URL) -> Iterator[None]:
    """ServiceDownError, without the password, for whatever the database or the way to it raises."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, DisconnectionError, PoolTimeout, OSError) as error:
        cause = str(error.orig if isinstance(error, DBAPIError) else error).strip().replace("\n", " ")[:300]
        raise ServiceDownError(
            f"the ledger at {_place(url)} does not answer: {cause}; {_remedy(url, cause)}"
        ) from error


def _remedy(url: URL, cause: str) -> str:
    if url.get_backend_name() != "sqlite":
        return "start PostgreSQL there, or correct ANDON_LEDGER_URL"
    if any(sign in cause for sign in _DAMAGED):
        return "the file is damaged: put back its last good copy"
    return "check the folder's rights and the disk's free space"


def now(connection: Connection) -> datetime:
    """The ledger's clock: PostgreSQL's own, so that many machines agree; SQLite runs in this process and on its clock.

    NOTE: clock_timestamp, not now(): a transaction's start may lie before the write that it waited for.
    """
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(select(type_coerce(func.clock_timestamp(), Moment))).scalar_one()
    return moment


def _parse(url: str) -> URL:
    allowed = "sqlite:////folder/ledger.db or postgresql://user:password@host/database"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DefinitionError(f"ANDON_LEDGER_URL cannot be read; write {allowed}") from None  # it holds the password
    if parsed.get_backend_name() not in _LOCK:
        raise DefinitionError(f"ANDON_LEDGER_URL: {parsed.get_backend_name()} is not supported; write {allowed}")
    if "@" in (parsed.host or ""):
        raise DefinitionError("ANDON_LEDGER_URL: the password holds an '@'; write it as %40")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise DefinitionError("ANDON_LEDGER_URL: a SQLite ledger needs a file; write sqlite:////folder/ledger.db")
    return parsed


def _place(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"postgresql://{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"


def _sqlite(url: URL) -> Engine:
    with answering(url):
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        # isolation_level None: the driver begins nothing by itself, `writing` does. Synchronous stays FULL: a decision
        # that was announced outlives a power cut.
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "isolation_level": None})
        event.listen(engine, "connect", _enforce_foreign_keys)
        _write_ahead(engine)
    return engine


def _write_ahead(engine: Engine) -> None:
    """Switch to WAL. NOTE: this one statement ignores the busy timeout when two processes start at once."""
    for attempt in range(_WAL_ATTEMPTS):
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            if "locked" not in str(error.orig) or attempt == _WAL_ATTEMPTS - 1:
                raise
            sleep(0.05)
        else:
            return


def _enforce_foreign_keys(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")


def _postgresql(url: URL) -> Engine:
    settings: Mapping[str, Any] = {key: value for key, value in _POSTGRES.items() if key not in url.query}
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=dict(settings),
        isolation_level="READ COMMITTED",  # after the lock, see what the writer before us committed
        pool_pre_ping=True,  # a restarted server costs no error
    )
