"""A segment of the prediction log: one append-only file of one writer, readable at any moment, also by others.

Format: records of length, crc32 and payload (entries.py). A length of zero, or a record that is not whole (its writer
was killed, the host died), ends the segment. A segment is locked while its writer lives; whoever can lock it may take
it away.

The file is allocated in full and mapped when it is made, so that a full disk is an OSError then, and an append is a
copy into the page cache: no system call, and the rows outlive the process. Closing cuts off what was not used.
NOTE: file systems that copy on write (btrfs, ZFS) may run out of space all the same, and kill the writer by SIGBUS.
"""

import fcntl
import logging
import mmap
import os
import struct
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from storage.entries import META, Logged, logged
from validation.failpoints import reached

__all__ = [
    "ASIDE", "META", "SEGMENT_BYTES", "SUFFIX", "Segment", "UnreadableSegmentError", "read_logged", "read_segment",
    "segments", "taken",
]  # fmt: skip

SUFFIX = ".segment"
ASIDE = f".unreadable{SUFFIX}"  # of those that nobody tries to compact any more; they still belong to the log
SEGMENT_BYTES = 8 * 1024 * 1024  # room for 20,000 rows of 30 columns

_LOG = logging.getLogger(__name__)
_HEAD = struct.Struct("<II")  # length and crc32 of the payload that follows


class UnreadableSegmentError(ValueError):
    """Whole records that make no frame; no later attempt will do better."""


class Segment:
    """The writing end; for one thread at a time. OSError when it cannot be made."""

    def __init__(self, folder: Path, head: bytes, *, room: int = 0) -> None:
        """`room`: it must take a first record of at least so many bytes."""
        self.rows, self._end = 0, 0
        self._capacity = max(SEGMENT_BYTES, room + len(head) + 2 * _HEAD.size)
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._file = _create_locked(folder)
        reached("log.opened")
        try:
            os.posix_fallocate(self._file, 0, self._capacity)
            self._map = mmap.mmap(self._file, self._capacity)
        except (OSError, ValueError) as error:
            self.path.unlink(missing_ok=True)
            os.close(self._file)
            raise OSError(f"{self.path} cannot have {self._capacity:,} bytes ({error}); free disk space") from error
        self.append(head, rows=0)

    def append(self, payload: bytes, *, rows: int) -> bool:
        """Keep the record whole; False when there is no room left for it."""
        size, start = len(payload), self._end + _HEAD.size
        if start + size > self._capacity:
            return False
        self._map[start : start + size] = payload
        _HEAD.pack_into(self._map, self._end, size, zlib.crc32(payload))  # last: before, the zeros end the segment
        self._end = start + size
        self.rows += rows
        return True

    def close(self) -> None:
        """Cut off what was not used, and unlock."""
        self._map.close()  # NOTE: the map holds a duplicate of the file: only with both of them the lock goes
        with suppress(OSError):
            os.ftruncate(self._file, self._end)
        os.close(self._file)


def segments(folder: Path) -> list[Path]:
    """Those of the folder by name, without those that were set aside."""
    return [path for path in sorted(folder.glob(f"*{SUFFIX}")) if not path.name.endswith(ASIDE)]


def read_segment(path: Path) -> pl.DataFrame | None:
    """All whole records as one frame: META, `prediction`, then the raw columns; None when there is not one row.

    UnreadableSegmentError when the records do not fit together; OSError when the file cannot be read just now.
    """
    found = read_logged(path)
    return None if found is None else found.rows


def read_logged(path: Path) -> Logged | None:
    """The same with what the log's policy did not keep."""
    payloads = list(_payloads(path))
    try:
        return logged(payloads)
    except MemoryError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UnreadableSegmentError(f"the records of {path.name} make no frame ({why})") from error


@contextmanager
def taken(path: Path) -> Iterator[bool]:
    """Lock a segment that no writer holds: yields whether it is ours, and still there, until the block ends."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock_at_once(file) and os.fstat(file).st_nlink > 0
    finally:
        os.close(file)


def _create_locked(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / f"{os.getpid()}-{uuid.uuid4().hex}{SUFFIX}"
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink > 0:
            return path, file
        os.close(file)  # NOTE: before we had the lock, a compaction took the empty file for that of a dead writer


def _lock_at_once(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _payloads(path: Path) -> Iterator[memoryview]:
    # NOTE: read, not mapped: a writer that closes its segment cuts it, and who looks at a page that is gone is killed.
    content = memoryview(path.read_bytes())
    start = 0
    while start + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, start)
        payload = content[start + _HEAD.size : start + _HEAD.size + length]
        if not length:
            return
        if len(payload) != length or zlib.crc32(payload) != checksum:
            break
        yield payload
        start += _HEAD.size + length
    if any(content[start:]):
        _LOG.info("%s ends with a record that is not whole, at byte %d", path, start)
