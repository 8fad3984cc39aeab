"""Which batches a Delta table holds: each left a marker, an application transaction, in the commit of its rows."""

import io
import json
import re
from collections.abc import Iterator, Sequence

import polars as pl
from deltalake import DeltaTable

from storage.address import Address
from storage.delta import within
from storage.objects import Objects, objects_for
from storage.remote import Remote

# Asking delta-rs reads the whole log once for each marker.
_FEW = 4
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")


def markers_in(table: DeltaTable, place: Address, markers: Sequence[str], remote: Remote) -> frozenset[str]:
    """Those of `markers` that are committed in `table`, as this handle sees it."""
    if len(markers) > _FEW:
        known = _all_markers(place / "_delta_log", table.version(), objects_for(place, remote))
        if known is not None:
            return known.intersection(markers)
    return frozenset(marker for marker in markers if _asked(table, place, marker, remote))


def _asked(table: DeltaTable, place: Address, marker: str, remote: Remote) -> bool:
    version = within(place, remote, lambda: table.transaction_version(marker), what="reading the log of")
    return version is not None


def _all_markers(log: Address, version: int, objects: Objects) -> frozenset[str] | None:
    """All markers up to a version: of the last checkpoint, and of each commit after it.

    None when one of them is not there, as another tool has tidied up the log in its own way.
    """
    checkpoints = (_CHECKPOINT.fullmatch(name) for name in objects.names(log))
    versions = (int(found[1]) for found in checkpoints if found)
    last = max((number for number in versions if number <= version), default=-1)
    try:
        kept = _in_checkpoint(objects.read(log / f"{last:020}.checkpoint.parquet")) if last >= 0 else frozenset()
        later = (objects.read(log / f"{number:020}.json") for number in range(last + 1, version + 1))
        return kept.union(*(_in_commit(commit) for commit in later))
    except FileNotFoundError:
        return None


def _in_checkpoint(data: bytes) -> frozenset[str]:
    rows = pl.scan_parquet(io.BytesIO(data))
    if "txn" not in rows.collect_schema():
        return frozenset()
    return frozenset(rows.select(pl.col("txn").struct.field("appId").drop_nulls()).collect()["appId"])


def _in_commit(data: bytes) -> Iterator[str]:
    actions = (json.loads(line) for line in data.splitlines() if b'"txn"' in line)
    return (action["txn"]["appId"] for action in actions if "txn" in action)
