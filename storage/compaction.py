"""From segments of the prediction log to Parquet files of the same name, and both to the disk.

No crash in between loses or doubles a row: the Parquet file is on the disk before its segment goes, and while both are
there the Parquet file counts. A segment that cannot be read is set aside under another name, and never deleted: readers
and the check of the log (log_check.py) still find it, and no other segment waits for it.
"""

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from storage.entries import Logged
from storage.lake import write_whole
from storage.logged import PARQUET
from storage.segment import ASIDE, SUFFIX, UnreadableSegmentError, read_logged, segments, taken
from validation.failpoints import reached

SYNC_SECONDS = 5.0  # a host that dies loses at most what was answered since then, and while the disk was busy

_LOG = logging.getLogger(__name__)
_TOLD: dict[Path, type[BaseException]] = {}  # what is in the way of a segment, as it was logged last
_KEPT = ".kept"  # locked while a keeper looks after the folder

Beforehand = Callable[[Path, Logged], object]


def compact(folder: Path, *, beforehand: Beforehand | None = None) -> int:
    """Turn each segment that has no living writer into Parquet; what fails stays as it is. How many stay?

    `beforehand` sees each one first; what it raises is its own affair.
    """
    return sum(not compact_one(path, beforehand=beforehand) for path in closed_segments(folder))


def compact_one(path: Path, *, beforehand: Beforehand | None = None) -> bool:
    """Turn this segment into Parquet, unless somebody else holds it. False when that failed, and may work later.

    NOTE: it raises nothing, or one segment would stop the compaction of all after it.
    """
    try:
        with taken(path) as ours:
            if ours:
                _replace_by_parquet(path, beforehand)
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - see above
        tell_once(path, error, what="stays a segment for now")
        return False
    _TOLD.pop(path, None)
    return True


def tell_once(path: Path, error: BaseException, *, what: str) -> None:
    """NOTE: it is tried again every few seconds; a reason of the same kind is not logged again each time."""
    if _TOLD.get(path) is not type(error):
        _TOLD[path] = type(error)
        _LOG.warning("%s %s: %s: %s", path, what, type(error).__name__, error)


def closed_segments(folder: Path) -> list[Path]:
    """The segments that have no living writer, that nobody is compacting, and that were not set aside."""
    return [path for path in segments(folder) if _is_closed(path)]


def sync(folder: Path) -> None:
    """Bring what writers have mapped to the disk, through files of our own: it costs them nothing."""
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError), _opened(path) as file:
            os.fdatasync(file)
    if folder.exists():
        _sync_names(folder)


@contextmanager
def keeping(folder: Path) -> Iterator[None]:
    """Tell logs that compact for themselves that they need not: somebody looks after the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _KEPT).touch()
    with _opened(folder / _KEPT) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_kept(folder: Path) -> bool:
    """Does a keeper look after the folder?"""
    try:
        with _opened(folder / _KEPT) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


def _is_closed(path: Path) -> bool:
    try:
        with taken(path) as ours:
            return ours
    except OSError:
        return True  # compacting it says why


def _replace_by_parquet(path: Path, beforehand: Beforehand | None) -> None:
    try:
        found = read_logged(path)
    except UnreadableSegmentError as error:
        _set_aside(path, error)
        return
    if found is not None:
        if beforehand is not None:
            beforehand(path, found)
            reached("log.shadowed")
        about = {"andon.log_share": str(found.share), "andon.log_masked": json.dumps(sorted(found.masked))}
        write_whole(
            path.with_suffix(PARQUET),
            lambda beside: found.rows.write_parquet(beside, compression="zstd", metadata=about),
        )
        _sync_names(path.parent)  # the Parquet file's name is on the disk before the segment's is taken off it
        reached("log.compacted")
    path.unlink()


def _set_aside(path: Path, error: UnreadableSegmentError) -> None:
    aside = path.rename(path.with_suffix(ASIDE))
    _sync_names(path.parent)
    _LOG.error("a segment cannot be read and is set aside; move %s out of the log, or repair it: %s", aside, error)


def _sync_names(folder: Path) -> None:
    with _opened(folder) as file:
        os.fsync(file)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)
