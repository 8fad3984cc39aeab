"""Taking a partition's rows out of a Delta table: files of nothing else go, of others the rest is written anew."""

import time
from pathlib import Path
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from storage.address import Address
from storage.datafile import data_file, sink
from storage.delta import reading, served
from storage.publishing.parquet import draft
from storage.publishing.port import Run
from storage.remote import Remote
from storage.transaction import Action, put
from validation.errors import RefusedError

_OF_PARTITION = ("pipeline", "partition")


def removal(table: DeltaTable, run: Run, *, place: Address, remote: Remote, work: Path) -> list[Action]:
    """The actions that take out the rows of the run's pipeline and partition, as this handle sees them."""
    if table.metadata().partition_columns or "deletionVectors" in (table.protocol().reader_features or []):
        raise RefusedError(
            f"{place} was cut into partitions, or has deletion vectors, which Andon does not write: name a new table"
        )
    actions: list[Action] = []
    for name, size in _candidates(table, run):
        actions += _out_of(name, size, run, place=place, remote=remote, work=work)
    return actions


def _candidates(table: DeltaTable, run: Run) -> list[tuple[str, int]]:
    """Files that may hold such rows, by what the log says of them."""
    files = pl.DataFrame(table.get_add_actions(flatten=True))
    for column in _OF_PARTITION:
        low, high = f"min.{column}", f"max.{column}"
        if low in files and high in files and files.schema[low] == pl.String:
            value = pl.lit(getattr(run, column))
            ranged = pl.col(low).is_null() | pl.col(high).is_null() | value.is_between(pl.col(low), pl.col(high))
            files = files.filter(ranged)
    return files.select("path", "size_bytes").rows()


def _out_of(name: str, size: int, run: Run, *, place: Address, remote: Remote, work: Path) -> list[Action]:
    """Nothing, when the file holds no such rows."""
    file = str(place / unquote(name))
    rows = pl.scan_parquet(file, glob=False, storage_options=reading(place, remote))
    with served(place, what="reading"):
        if not set(_OF_PARTITION) <= set(rows.collect_schema()):  # of a time when rows did not tell
            return []
        mine = pl.all_horizontal(pl.col(column).eq_missing(getattr(run, column)) for column in _OF_PARTITION)
        total, taken = rows.select(pl.len(), mine.sum()).collect().row(0)
    if not taken:
        return []
    gone = RemoveAction(
        name, data_change=True, deletion_timestamp=int(time.time() * 1000), size=size, partition_values={}
    )
    if taken == total:
        return [gone]
    with draft(work) as path:
        with served(place, what="reading"):
            sink(rows.filter(~mine), path)
        return [gone, put(data_file(path), place, remote)]
