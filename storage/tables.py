"""Delta tables that are appended to exactly once per batch. Always read through the table, never by a file pattern.

NOTE: a kill in the middle of a write leaves Parquet files that no commit names; only the table knows which rows exist.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from validation.errors import ContractError

_ATTEMPTS = 5
_BATCH = "_batch"
_KEPT_TYPES = (
    pl.Boolean(), pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.Float32(), pl.Float64(), pl.String(), pl.Binary(),
    pl.Date(), pl.Datetime("us", "UTC"), pl.List(pl.Float64()),
)  # fmt: skip


def append(folder: Path, frame: pl.DataFrame, *, app_id: str, version: int) -> bool:
    """Append `frame` unless this (app_id, version) has been appended before; True when rows were written now.

    The first append creates the table. Columns and types must be the table's: ContractError otherwise.
    """
    # NOTE: Delta keeps one version per app id and so can only say "not newer than"; a batch that is finished after its
    # successor would be taken for done, and lost. So each batch is an app id of its own.
    marker = f"{app_id}/{version}"
    once = CommitProperties(app_transactions=[Transaction(marker, version)])
    conflict: CommitFailedError | None = None
    for _ in range(_ATTEMPTS):
        table = _open_or_create(folder, frame.schema)
        if table.transaction_version(marker) is not None:
            return False
        _check_schema(frame.schema, _schema(table), folder)
        try:
            # On the handle that was asked: a twin that commits in between makes this fail. By path both would write.
            write_deltalake(table, frame.select(_schema(table).names()), mode="append", commit_properties=once)
        except CommitFailedError as error:
            conflict = error
        else:
            return True
    raise ContractError(f"{folder}: another writer was faster {_ATTEMPTS} times; run it again") from conflict


def scan(folder: Path) -> pl.LazyFrame | None:
    """The table's committed rows, in no order; None while there is no table."""
    table = _open(folder)
    return None if table is None else pl.scan_delta(table)


def known_keys(folder: Path, frame: pl.DataFrame, key: Sequence[str], *, batch: int) -> pl.Series:
    """Per row of `frame`: has another batch than `batch` brought its key already?

    `batch` itself does not count, so that a repeated ingest judges its rows as the first attempt did.
    """
    table = scan(folder)
    if table is None:
        return pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True).alias("known")
    before = table.filter(pl.col(_BATCH) != batch).select(key).unique().with_columns(known=pl.lit(value=True))
    joined = frame.lazy().select(key).join(before, on=key, how="left", maintain_order="left", nulls_equal=True)
    return joined.select(pl.col("known").fill_null(value=False)).collect()["known"]


def _open(folder: Path) -> DeltaTable | None:
    try:
        return DeltaTable(folder)
    except TableNotFoundError:
        return None


def _open_or_create(folder: Path, schema: pl.Schema) -> DeltaTable:
    table = _open(folder)
    if table is not None:
        return table
    _check_types(schema, folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return DeltaTable.create(folder, schema, mode="error")
    except DeltaError:
        table = _open(folder)  # another creator was faster
        if table is None:
            raise
        return table


def _schema(table: DeltaTable) -> pl.Schema:
    return pl.Schema(table.schema().to_arrow())


def _check_types(schema: pl.Schema, folder: Path) -> None:
    """Others would be stored as something else (unsigned and nanoseconds as signed and micro-, categories as text)."""
    problems = [f"{name!r} is {dtype}" for name, dtype in schema.items() if dtype not in _KEPT_TYPES]
    if problems:
        kept = ", ".join(str(dtype) for dtype in _KEPT_TYPES)
        raise ContractError(f"cannot create {folder}: {'; '.join(problems[:5])}; cast to one of {kept} first")


def _check_schema(got: pl.Schema, kept: pl.Schema, folder: Path) -> None:
    """NOTE: Delta would truncate floats that are appended to an integer column, without a word."""
    problems = [
        f"{name!r} is {got.get(name, 'missing')}, the table holds {kept.get(name, 'no such column')}"
        for name in (*kept, *(name for name in got if name not in kept))
        if got.get(name) != kept.get(name)
    ]
    if problems:
        raise ContractError(f"cannot append to {folder}: {'; '.join(problems[:5])}; convert the columns first")
