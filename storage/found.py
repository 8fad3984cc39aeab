"""A file as it was listed."""

from dataclasses import dataclass
from datetime import datetime

from storage.address import Address, shown
from validation.errors import ContractError


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


class DamagedError(ContractError):
    """The bytes are not what the store's own checksum says. They were copied all the same, and have this digest."""

    def __init__(self, address: Address, reason: str, *, sha256: str) -> None:
        super().__init__(f"{shown(str(address))} {reason}")
        self.reason, self.sha256 = reason, sha256


def changed(address: Address) -> ContractError:
    """What is raised when a file is no longer what was found."""
    return ContractError(f"{shown(str(address))} arrived again while it was read; it will be taken next time")
