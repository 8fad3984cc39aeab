"""A file as it was listed."""

from dataclasses import dataclass
from datetime import datetime

from storage.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file as it was listed. `name`: its path below the glob's fixed part, printable; `stamp` changes when the file
    does (size, mtime and ctime in ns, or size and ETag); `modified_at`: by the store's own clock, in UTC.
    """

    address: Address
    name: str
    size: int
    stamp: str
    modified_at: datetime
