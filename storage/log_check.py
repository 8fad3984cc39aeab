"""Which files of a prediction log cannot be read? Each is read once, and again only when it has changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import polars as pl

from storage.logged import PARQUET
from storage.parquet_check import parquet_flaw
from storage.segment import SUFFIX, read_segment

SUFFIXES = (PARQUET, SUFFIX)
_REMEMBERED = 100_000  # files


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file, and in words why it cannot be read."""

    name: str
    why: str


def log_files(folder: Path, *, changed_after: datetime | None = None) -> tuple[Path, ...]:
    """The log's files by name; with a moment, only the Parquet files that were changed after it."""
    if changed_after is None:
        return tuple(sorted(path for suffix in SUFFIXES for path in folder.glob(f"*{suffix}")))
    after = changed_after.timestamp()
    return tuple(sorted(path for path in folder.glob(f"*{PARQUET}") if _changed_at(path) > after))


def unreadable(files: Iterable[Path]) -> Iterator[Unreadable]:
    """Those that cannot be read, in order. One that is gone meanwhile is no trouble: a segment becomes Parquet.

    NOTE: flipped bits that decode to other values cannot be told; see storage/parquet_check.py.
    """
    for path in files:
        try:
            stat = path.stat()
            why = _why_not(path, stat.st_size, stat.st_mtime_ns)
        except FileNotFoundError:
            continue
        if why:
            yield Unreadable(name=path.name, why=why)


@lru_cache(_REMEMBERED)
def _why_not(path: Path, size: int, _changed: int) -> str:
    """Why the file cannot be read, "" when it can."""
    try:
        if path.suffix == SUFFIX:
            read_segment(path)
            return ""
        with path.open("rb") as file:
            flaw = parquet_flaw(file, size)
        if flaw is not None:
            return flaw.reason.partition(";")[0]
        pl.read_parquet(path, glob=False)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return f"cannot be read: {' '.join(str(error).split())[:150]}"
    return ""


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("-inf")
