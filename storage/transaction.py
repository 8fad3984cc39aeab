"""How files become rows of a Delta table: first they lie in its folder, then one commit names them.

A kill in between leaves files that no commit names; nobody reads them, and upkeep takes them away when they are old.
"""

import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction, RemoveAction

from storage.address import Address
from storage.datafile import DataFile
from storage.delta import within
from storage.objects import objects_for
from storage.remote import Remote

Action = AddAction | RemoveAction


def put(file: DataFile, place: Address, remote: Remote, *, is_new: bool = True) -> AddAction:
    """Bring a file into the table's folder, under a name that nobody else uses; returns the action that names it.

    On the same file system it is moved. `is_new`: its rows were in no file of the table before.
    """
    name, size = f"part-{uuid.uuid4().hex}.parquet", file.path.stat().st_size
    if place.is_remote:
        objects_for(place, remote).put(file.path, place / name)
    else:
        _move(file.path, place.path / name)
    return AddAction(
        path=name, size=size, partition_values={}, modification_time=_now_ms(), data_change=is_new, stats=file.stats
    )


def drop(name: str, size: int) -> RemoveAction:
    """The action that takes a file out of the table; its rows are in another one by then."""
    return RemoveAction(name, data_change=False, deletion_timestamp=_now_ms(), size=size, partition_values={})


def transact(
    table: DeltaTable,
    actions: Sequence[Action],
    *,
    markers: Sequence[str] | Mapping[str, int],
    place: Address,
    remote: Remote,
) -> None:
    """Commit `actions` and `markers` together, on this handle; a marker may carry a number, which is 1 otherwise.

    CommitFailedError when somebody has committed one of the markers since the handle was opened; what others commit
    does not matter. NOTE: markers that the handle knew already are not looked at.
    """
    numbered = markers if isinstance(markers, Mapping) else dict.fromkeys(markers, 1)
    properties = CommitProperties(app_transactions=[Transaction(*marker) for marker in numbered.items()])
    schema, actions = table.schema(), list(actions)
    within(
        place,
        remote,
        lambda: table.create_write_transaction(actions, mode="append", schema=schema, commit_properties=properties),
        what="committing to",
    )
    if not place.is_remote:
        _sync_log(place.path / "_delta_log", since=table.version())


def _now_ms() -> int:
    return int(time.time() * 1000)  # the log's own clock, which nothing is decided by


def _move(source: Path, target: Path) -> None:
    """NOTE: a target that is half written harms nobody, since no commit names it."""
    _sync(source)
    try:
        source.rename(target)
    except OSError:  # another file system
        try:
            shutil.copyfile(source, target)
            _sync(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    _sync(target.parent)


def _sync_log(log: Path, *, since: int) -> None:
    """What the ledger is about to call accepted must outlive a power cut; so must the commit it was built on.

    NOTE: the handle does not know the version of its own commit.
    """
    for path in log.glob("*.json"):
        if int(path.name[:20]) >= since:
            _sync(path)
    _sync(log)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
