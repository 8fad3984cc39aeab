"""A disk for temporary files that is full, told as what it is."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from validation.errors import TrainingFailedError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_OF_POLARS = re.compile(rf"\(os error ({errno.ENOSPC}|{errno.EDQUOT})\)")  # its OSError has no number


class NoRoomError(TrainingFailedError):
    """A file could not be written: the disk of temporary files is full, or its quota."""


@contextmanager
def room_in(place: Path) -> Iterator[None]:
    """NoRoomError, which names the `place` of temporary files, where what is written within meets a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL and not _FULL_OF_POLARS.search(str(error)):
            raise
        raise NoRoomError(no_room(place)) from error


def no_room(place: Path) -> str:
    """What to say where no more can be written."""
    return f"no room left in {place}; free some, or set TMPDIR"
