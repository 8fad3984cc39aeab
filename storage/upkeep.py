"""Keeping a table small: many small files become few, and files that nobody can need any more are deleted.

Neither changes a row: batch numbers and moments stand in the rows, so that snapshots stay what they are.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from storage.address import Address
from storage.datafile import data_file, sink
from storage.delta import open_table, reading, schema_of, served, within
from storage.remote import Remote
from storage.transaction import Action, drop, put, transact
from validation.errors import ContractError, DefinitionError

_SMALL_BYTES = 64 * 1024 * 1024
_LARGE_BYTES = 256 * 1024 * 1024
_MIN_FILES = 32
_RETENTION = timedelta(days=7)
_HOUR = timedelta(hours=1)
# NOTE: delta-rs 1.6.6 lets two compactions of the same files both commit, after which each row is there twice; so does
# its own `optimize.compact`, and ignores app transactions. By this marker in common the second of ours fails.
COMPACTION = "andon/compaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintained:
    """`compacted` files were rewritten as `into` ones; `deleted`: how many files were."""

    compacted: int = 0
    into: int = 0
    deleted: int = 0


def maintain(
    place: Address, remote: Remote, *, work: Path, min_files: int = _MIN_FILES, retention: timedelta = _RETENTION
) -> Maintained:
    """Rewrite the small files once there are `min_files` of them; delete files that have not been part of the table
    for `retention`, which must be longer than any read or write takes.
    """
    if min_files < 2 or retention < timedelta(0):
        raise DefinitionError(f"min_files must be 2 or more and retention not negative, got {min_files}, {retention}")
    table = open_table(place, remote)
    if table is None:
        return Maintained()
    compacted, into = compact(table, place, remote, work=work, min_files=min_files)
    return Maintained(compacted=compacted, into=into, deleted=_vacuum(place, remote, retention))


def compact(table: DeltaTable, place: Address, remote: Remote, *, work: Path, min_files: int) -> tuple[int, int]:
    """Rewrite the small files that this handle knows of; returns how many they were, and are now."""
    files = pl.DataFrame(table.get_add_actions()).filter(pl.col("size_bytes") < _SMALL_BYTES)
    if files.height < min_files or not _is_plain(table):
        return 0, 0
    actions: list[Action] = [drop(name, size) for name, size in files.select("path", "size_bytes").rows()]
    bins = [_rewrite(part, table, place, remote, work=work) for part in _bins(files)]
    try:
        transact(table, [*actions, *bins], markers=[COMPACTION], place=place, remote=remote)
    except CommitFailedError:  # another compaction was faster, and as good
        return 0, 0
    return files.height, len(bins)


def _is_plain(table: DeltaTable) -> bool:
    """No other tool has cut it into partitions, or marked rows as deleted, which would come back."""
    return not table.metadata().partition_columns and "deletionVectors" not in (table.protocol().reader_features or [])


def _bins(files: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """In the order in which they came, so that the rows of a batch stay together."""
    ordered = files.sort("modification_time", "path")
    numbered = ordered.with_columns(bin=pl.col("size_bytes").cum_sum() // _LARGE_BYTES)
    yield from numbered.partition_by("bin", maintain_order=True)


def _rewrite(files: pl.DataFrame, table: DeltaTable, place: Address, remote: Remote, *, work: Path) -> Action:
    sources, told = [str(place / name) for name in files["path"]], files["num_records"].sum()
    rows = pl.scan_parquet(
        sources,
        schema=schema_of(table),
        missing_columns="insert",  # that the table gained later
        glob=False,
        storage_options=reading(place, remote),
    )
    path = work / f"{uuid.uuid4().hex}.parquet"
    try:
        with served(place, what="reading"):
            sink(rows, path)
        file = data_file(path)
        if files["num_records"].null_count() == 0 and file.rows != told:  # other tools may say nothing of rows
            problem = f"its files hold {file.rows:,} rows where its log tells of {told:,}"
            raise ContractError(f"{place}: {problem}; restore them from a backup")
        return put(file, place, remote, is_new=False)
    finally:
        path.unlink(missing_ok=True)


def _vacuum(place: Address, remote: Remote, retention: timedelta) -> int:
    table = open_table(place, remote)
    assert table is not None, "it was compacted just now"  # noqa: S101 - nothing of ours deletes a table
    # NOTE: only a full vacuum finds files that no commit has ever named, such as a killed writer leaves.
    deleted = within(
        place,
        remote,
        lambda: table.vacuum(-(-retention // _HOUR), dry_run=False, enforce_retention_duration=False, full=True),
        what="vacuuming",
    )
    return len(deleted)
