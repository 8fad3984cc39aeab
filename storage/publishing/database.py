"""A table of a database: one transaction for each run, beside a small ledger of runs that makes it happen once.

Made on first use: the table with typed columns, the view `<table>_latest` with the newest row of each key, and
`andon_runs`. Columns that are new are added; a type never changes. How PostgreSQL and SQLite do each step stands in
their own modules.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl
from pydantic import SecretStr

from storage.publishing import statements
from storage.publishing.evolve import refuse_changed
from storage.publishing.port import Predictions, Published, Run
from storage.publishing.stamp import check_stamped, checked
from validation.errors import DefinitionError, RefusedError
from validation.failpoints import reached

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")


class Session(Protocol):
    """A connection; what it did since the last `commit` is gone when it ends, however that is."""

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query; `$1` and so on in it stand for the values."""
        ...

    def do(self, sql: str, *values: object) -> None:
        """A statement without rows."""
        ...

    def lock(self, name: str) -> None:
        """Let nobody else past this point for the same name until the commit."""
        ...

    def columns(self, relation: str) -> dict[str, str]:
        """The columns of a table or view, with their types as the database tells them; empty when there is none."""
        ...

    def make_view(self, name: str, select: str, *, mark: str) -> None:
        """Make the view, or let it select this: the columns that it has, and perhaps more behind them."""
        ...

    def mark(self, view: str) -> str:
        """With what `mark` the view was made; empty when there is none."""
        ...

    def index(self, table: str, key: Sequence[str]) -> None:
        """Make what finds rows by this key, and by partition."""
        ...

    def load(self, table: str, types: Mapping[str, str], part: pl.DataFrame) -> None:
        """Insert the rows of a part."""
        ...

    def commit(self) -> None:
        """Make what was done last."""
        ...


class Store(Protocol):
    """A database."""

    @property
    def place(self) -> str:
        """How it may be shown."""
        ...

    @property
    def moment(self) -> str:
        """The type of a point in time there."""
        ...

    def types(self, schema: pl.Schema) -> dict[str, str]:
        """The type of each column there; DefinitionError when there is none."""
        ...

    def look(self) -> str:
        """How it is there, in a few words; an AndonError when it cannot be reached. Changes nothing."""
        ...

    def session(self, rows: int = 0) -> AbstractContextManager[Session]:
        """A connection, for a delivery of so many rows; within it what fails is an AndonError."""
        ...


@dataclass(frozen=True, slots=True)
class DatabaseChannel:
    """See `storage.publishing.port.Channel`. `key`: the columns that a prediction is looked up by."""

    store: Store
    table: str
    key: Sequence[str]
    name: str = "database"

    def publish(self, run: Run, predictions: Predictions) -> Published:
        """Commit the run, unless it is there."""
        check_stamped(predictions.schema)
        if absent := [name for name in self.key if name not in predictions.schema]:
            raise DefinitionError(f"predictions lack the key's {', '.join(absent)}; see storage.publishing.port")
        types = self.store.types(predictions.schema)
        with self.store.session(predictions.rows) as session:
            self._prepare(session, types)
            published = self._published(session, run, predictions, types)
        reached("publish.committed")
        return published

    @property
    def place(self) -> str:
        """As it may be shown."""
        return f"table {self.table} of {self.store.place}"

    def _published(self, session: Session, run: Run, predictions: Predictions, types: Mapping[str, str]) -> Published:
        session.lock(self.table)
        if found := session.ask(statements.FIND_RUN, self.table, run.run_id):
            return Published(place=self.place, rows=found[0][0], repeated=True)
        newest = session.ask(statements.NEWEST_RUN, self.table, run.pipeline, run.partition)[0][0]
        if newest is not None and newest > run.sequence:
            return Published(place=self.place, rows=0, superseded=True)
        versions: set[str] = set()
        if newest is not None:
            session.do(statements.remove_partition(self.table), run.pipeline, run.partition)
        for part in _noting(checked(run, predictions), versions):
            session.load(self.table, types, part)
            reached("publish.staged")
        told = (run.pipeline, run.partition, run.sequence, predictions.rows, ", ".join(sorted(versions)))
        session.do(statements.NOTE_RUN, self.table, run.run_id, *told)
        reached("publish.replaced")
        session.commit()
        return Published(place=self.place, rows=predictions.rows)

    def _prepare(self, session: Session, types: Mapping[str, str]) -> None:
        """Make what is missing, in a transaction of its own: readers wait for it, and it is short."""
        if self._is_prepared(session, types):
            session.commit()
            return
        session.lock(statements.RUNS)
        session.do(statements.create_runs(self.store.moment))
        held = session.columns(self.table)
        if not held:
            session.do(statements.create_table(self.table, types))
        else:
            self._widen(session, held, types)
        if session.mark(self._view) != self._mark:
            session.index(self.table, [*self.key, *({"pipeline"} - set(self.key))])
        columns = list(session.columns(self._view)) or list(held)
        columns += [name for name in types if name not in columns]
        session.make_view(self._view, statements.latest(self.table, self.key, columns), mark=self._mark)
        reached("publish.prepared")
        session.commit()

    def _is_prepared(self, session: Session, types: Mapping[str, str]) -> bool:
        held = session.columns(self.table)
        refuse_changed(dict(types), held, self.place)
        has_columns = set(types) <= set(held) & set(session.columns(self._view))
        return has_columns and session.mark(self._view) == self._mark and bool(session.columns(statements.RUNS))

    def _widen(self, session: Session, held: Mapping[str, str], types: Mapping[str, str]) -> None:
        refuse_changed(dict(types), dict(held), self.place)  # now under the lock
        needed = {*self.key, "pipeline", "partition", "run_id"}
        if absent := sorted(needed - set(held)):
            problem = f"{self.place} was not made for these predictions: it has no column {', '.join(absent)}"
            raise RefusedError(f"{problem}; name another table in `delivery`")
        for name, kind in types.items():
            if name not in held:
                session.do(statements.add_column(self.table, name, kind))

    @property
    def _view(self) -> str:
        return f"{self.table}_latest"

    @property
    def _mark(self) -> str:
        """By which key the view and the index were made: another definition may name another."""
        return f"andon: the newest row by {json.dumps(list(self.key))}"


def open_database(url: SecretStr, table: str, *, key: Sequence[str], seconds: float) -> DatabaseChannel:
    """The channel to a table of the database at `url`. Connects to nothing; DefinitionError when it is no such URL.

    `seconds`: how long the database may keep us waiting; see `Settings.remote_seconds`.
    """
    if table == statements.RUNS:
        raise DefinitionError(f"delivery.database must not be {table!r}, which is Andon's own; name another table")
    return DatabaseChannel(open_store(url, seconds=seconds), table, tuple(key))


def open_store(url: SecretStr, *, seconds: float) -> Store:
    """The database at `url`."""
    from storage.publishing.postgres import PostgresStore
    from storage.publishing.sqlite import SqliteStore

    text = url.get_secret_value()
    if text.startswith(("postgresql://", "postgres://")):
        return PostgresStore.of(url, seconds=seconds)
    if text.startswith("sqlite:///"):
        return SqliteStore.of(text, seconds=seconds)
    scheme = _SCHEME.match(text)
    got = f"one that begins with {scheme[0]}" if scheme else "something else"
    raise DefinitionError(f"ANDON_DELIVERY_DATABASE must be postgresql://... or sqlite:///PATH, got {got}")


def _noting(parts: Iterable[pl.DataFrame], versions: set[str]) -> Iterator[pl.DataFrame]:
    for part in parts:
        versions.update(part["model_version"].unique().drop_nulls())
        yield part
