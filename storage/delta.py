"""Opening Delta tables, wherever they lie, and the types that they keep as they are. Reads and writes no rows."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from storage.address import Address
from storage.deadline import bounded
from storage.remote import Remote
from validation.errors import ContractError, DefinitionError, ServiceDownError

T = TypeVar("T")

# The log is read from the last checkpoint on, file by file.
_PROPERTIES = {"delta.checkpointInterval": "20"}
_COLOURS = re.compile(r"\x1b\[\d*m")
# delta-rs takes them for parts of a URL, or Polars for parts of a pattern.
_NOT_IN_PATHS = frozenset("%*?[]{}#")
_FLAT_TYPES = (
    pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Float32, pl.Float64, pl.Decimal,
    pl.String, pl.Binary, pl.Date,
)  # fmt: skip
_KEPT = f"{', '.join(dtype.__name__ for dtype in _FLAT_TYPES)}, Datetime('us', UTC or no zone), List or Struct of these"


def open_table(place: Address, remote: Remote) -> DeltaTable | None:
    """The table as it is committed now; None while there is none."""
    try:
        return within(place, remote, lambda: _handle(place, remote), what="opening")
    except TableNotFoundError:
        return None


def open_for(place: Address, schema: pl.Schema, remote: Remote) -> DeltaTable:
    """The table that rows of `schema` go to, created if there is none; ContractError if it holds other columns."""
    table = open_table(place, remote) or _create(place, schema, remote)
    _check_schema(schema, schema_of(table), place)
    return table


def rows_of(table: DeltaTable, place: Address, remote: Remote) -> pl.LazyFrame:
    """The rows that this handle knows of."""
    return pl.scan_delta(table, storage_options=reading(place, remote))


def reading(place: Address, remote: Remote) -> dict[str, Any] | None:
    """The options by which Polars reads there: a store that falls silent is an OSError after twice the deadline."""
    if not place.is_remote:
        return None
    patience = {"timeout": f"{remote.seconds / 2:g}s", "max_retries": 8, "retry_timeout_ms": int(remote.seconds * 1000)}
    return {**remote.storage_options(), **patience}


def schema_of(table: DeltaTable) -> pl.Schema:
    """Its columns, in its order."""
    return pl.Schema(table.schema().to_arrow())


def within(place: Address, remote: Remote, call: Callable[[], T], *, what: str) -> T:
    """What `call` returns; ServiceDownError when the store fails, or does not answer within the deadline.

    NOTE: a commit that was given up may still come about: ask for its markers before the next attempt.
    """
    if not place.is_remote:
        return call()
    with served(place, what=what):
        return bounded(call, seconds=remote.seconds, what=f"{what} {place}")


@contextmanager
def served(place: Address, *, what: str) -> Iterator[None]:
    """ServiceDownError, inside, when the store of a remote place fails."""
    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except (DeltaError, OSError) as error:
        if not place.is_remote:
            raise
        why = " ".join(_COLOURS.sub("", str(error)).split())[:300]
        raise ServiceDownError(f"{what} {place} failed: {why}; see that the store answers, then try again") from error


class _Table(DeltaTable):
    """NOTE: delta-rs writes the paths of files as in a URL; Polars takes them as they are, and finds none in "a b"."""

    def file_uris(self, *arguments: Any, **options: Any) -> list[str]:
        return [unquote(path) for path in super().file_uris(*arguments, **options)]


def _handle(place: Address, remote: Remote) -> DeltaTable:
    wrong = _NOT_IN_PATHS.intersection(str(place))
    if wrong:
        signs = " ".join(sorted(wrong))
        raise DefinitionError(f"a Delta table cannot lie in {place}, whose path holds {signs}; name another folder")
    if place.is_remote:
        return _Table(str(place), storage_options=remote.storage_options())
    return _Table(place.path)


def _create(place: Address, schema: pl.Schema, remote: Remote) -> DeltaTable:
    _check_types(schema, place)
    try:
        return within(place, remote, lambda: _made(place, schema, remote), what="creating")
    except (DeltaError, ServiceDownError):
        table = open_table(place, remote)  # another creator was faster
        if table is None:
            raise
        return table


def _made(place: Address, schema: pl.Schema, remote: Remote) -> DeltaTable:
    if place.is_remote:
        options = remote.storage_options()
        return _Table.create(str(place), schema, mode="error", configuration=_PROPERTIES, storage_options=options)
    place.path.mkdir(parents=True, exist_ok=True)
    return _Table.create(place.path, schema, mode="error", configuration=_PROPERTIES)


def _is_kept(dtype: object) -> bool:
    if isinstance(dtype, pl.Datetime):
        return dtype.time_unit == "us" and dtype.time_zone in (None, "UTC")
    if isinstance(dtype, pl.List):
        return _is_kept(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return all(_is_kept(field.dtype) for field in dtype.fields)
    return isinstance(dtype, _FLAT_TYPES)


def _check_types(schema: pl.Schema, place: Address) -> None:
    """Others would be stored as something else (unsigned and nanoseconds as signed and micro-, categories as text)."""
    problems = [f"{name!r} is {dtype}" for name, dtype in schema.items() if not _is_kept(dtype)]
    if problems:
        raise ContractError(f"cannot create {place}: {'; '.join(problems[:5])}; cast to one of {_KEPT} first")


def _check_schema(got: pl.Schema, kept: pl.Schema, place: Address) -> None:
    """NOTE: Delta would truncate floats that are appended to an integer column, without a word."""
    problems = [
        f"{name!r} is {got.get(name, 'missing')}, the table holds {kept.get(name, 'no such column')}"
        for name in (*kept, *(name for name in got if name not in kept))
        if got.get(name) != kept.get(name)
    ]
    if problems:
        raise ContractError(f"cannot append to {place}: {'; '.join(problems[:5])}; convert the columns first")
