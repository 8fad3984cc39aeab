"""The files behind /metrics, with their room on the disk taken before they are mapped.

prometheus_client maps sparse files: on a full disk the first write to a new page is a SIGBUS, which ends the process.
Here a full disk costs numbers and nothing else: they go on in memory, where nobody sees them, and what the file has
told until then stays. Importing this imports prometheus_client, which chooses its storage then.
"""

import errno
import logging
import mmap
import os
from pathlib import Path
from typing import BinaryIO

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

_FIRST_BYTES = 64 * 1024  # as prometheus_client's
_HEAD = 8  # bytes of a file, before its numbers
_AROUND_KEY = 32  # its length, padding, value and time
_LOG = logging.getLogger(__name__)


def allocate_first() -> None:
    """Let all files of this process's numbers be such; before the first number is made."""
    values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]  # the value class finds it by this name


class AllocatedDict(MmapedDict):
    """What prometheus_client keeps its numbers in. A new file gets its name when it is whole: nobody reads a half."""

    _f: BinaryIO
    _m: mmap.mmap
    _capacity: int
    _used: int

    def __init__(self, filename: str, read_mode: bool = False) -> None:  # noqa: FBT001, FBT002 - the base's signature
        self._in_memory = not read_mode and not _made(Path(filename))
        if not self._in_memory:
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
            return
        self._f, self._positions = None, dict[str, int]()  # type: ignore[assignment]  # as when it is closed
        self._m, self._capacity = mmap.mmap(-1, _FIRST_BYTES), _FIRST_BYTES
        self._used = _HEAD

    def _init_value(self, key: str) -> None:
        needed, capacity = self._used + len(key.encode()) + _AROUND_KEY, self._capacity
        while needed > capacity:
            capacity *= 2
        if capacity > self._capacity and not self._has_room(capacity):
            memory = mmap.mmap(-1, capacity)
            memory[: self._capacity] = self._m[:]
            self._m, self._capacity, self._in_memory = memory, capacity, True
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _has_room(self, capacity: int) -> bool:
        return not self._in_memory and _allocated(self._f, capacity)


def _made(path: Path) -> bool:
    """Whether the file is there, if need be now."""
    if path.exists() and path.stat().st_size:
        return True
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as file:
            if _allocated(file, _FIRST_BYTES):
                new.replace(path)
                return True
        new.unlink()
    except OSError as error:
        _tell(str(path), error)
    return False


def _allocated(file: BinaryIO, size: int) -> bool:
    """Whether the file has so many bytes, all of them on the disk."""
    before = os.fstat(file.fileno()).st_size
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        _tell(str(file.name), error)
        os.ftruncate(file.fileno(), before)
        return False
    return True


def _tell(name: str, error: OSError) -> None:
    why = errno.errorcode.get(error.errno or 0, "")
    _LOG.warning("the numbers of process %d are not told by /metrics any more: %s: %s (%s); make room, and restart it",
                 os.getpid(), name, error.strerror, why)  # fmt: skip
