"""Delta tables that take each batch exactly once. Always read through the table, never by a file pattern.

NOTE: a kill in the middle of a write leaves Parquet files that no commit names; only the table knows which rows exist.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from storage.address import Address
from storage.datafile import DataFile, data_file, sink
from storage.delta import open_for, open_table, rows_of
from storage.markers import markers_in
from storage.remote import Remote
from storage.transaction import put, transact
from storage.upkeep import Maintained, maintain
from storage.versions import among, newest, repeats
from validation.errors import DefinitionError, RefusedError, ServiceDownError

__all__ = ("Maintained", "among", "append", "commit", "committed", "maintain", "newest", "repeats", "scan", "sink")

_ATTEMPTS = 5


def scan(place: Address, remote: Remote) -> pl.LazyFrame | None:
    """The rows that are committed now, in no order; None while there is no table."""
    table = open_table(place, remote)
    return None if table is None else rows_of(table, place, remote)


def committed(place: Address, markers: Sequence[str], remote: Remote) -> frozenset[str]:
    """Those of `markers` whose rows are in the table."""
    table = open_table(place, remote)
    return frozenset() if table is None else markers_in(table, place, markers, remote)


def append(place: Address, rows: pl.LazyFrame, *, markers: Sequence[str], remote: Remote, work: Path) -> bool:
    """Append `rows`, which are those of all `markers`, in one commit; False when they were in the table before.

    They are written to a file below `work` first. Columns and types must be the table's: ContractError otherwise.
    """
    table = open_for(place, rows.collect_schema(), remote)
    if _is_done(table, place, markers, remote):
        return False
    path = work / f"{uuid.uuid4().hex}.parquet"
    try:
        sink(rows, path)
        return _commit(table, data_file(path), place=place, markers=markers, remote=remote)
    finally:
        path.unlink(missing_ok=True)


def commit(place: Address, path: Path, *, markers: Sequence[str], remote: Remote) -> bool:
    """The same with rows that lie in a file already (see `sink`), which goes into the table as it is: it is moved.

    The first commit creates the table. RefusedError when a part of `markers` is in the table and the rest is not, as
    the file's rows would be there twice.
    """
    file = data_file(path)
    table = open_for(place, file.schema, remote)
    if _is_done(table, place, markers, remote):
        return False
    return _commit(table, file, place=place, markers=markers, remote=remote)


def _commit(table: DeltaTable, file: DataFile, *, place: Address, markers: Sequence[str], remote: Remote) -> bool:
    """On the handle that was asked: a twin that commits in between makes this fail. By path both would write."""
    actions = [put(file, place, remote)] if file.rows else []
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            transact(table, actions, markers=markers, place=place, remote=remote)
        except (CommitFailedError, ServiceDownError) as error:
            failure = error  # of a remote store it may be the answer alone that was lost
        else:
            return True
        table = open_for(place, file.schema, remote)
        if _is_done(table, place, markers, remote):
            return _holds(table, actions)
    raise RefusedError(f"{place}: {_ATTEMPTS} commits failed, as other writers were faster; run it again") from failure


def _is_done(table: DeltaTable, place: Address, markers: Sequence[str], remote: Remote) -> bool:
    if not markers:
        raise DefinitionError(f"{place}: without a marker an append could be made twice; name its batches")
    done = markers_in(table, place, markers, remote)
    if done and len(done) < len(set(markers)):
        some = ", ".join(sorted(done)[:5])
        raise RefusedError(f"{place}: of these batches {some} are in the table, the others are not; run it again")
    return bool(done)


def _holds(table: DeltaTable, actions: Sequence[AddAction]) -> bool:
    """Has our own commit come about, though its answer was lost?"""
    files = set(pl.DataFrame(table.get_add_actions())["path"]) if actions else set()
    return any(action.path in files for action in actions)
