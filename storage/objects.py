"""Whole files and small objects, wherever they lie: one port, an adapter for local folders and one for S3."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from storage.address import Address
from storage.remote import Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file as it was listed. `name`: its path below the glob's fixed part, printable; `stamp` changes when the file
    does (size and mtime in ns, or size and ETag); `modified_at`: by the store's own clock, in UTC.
    """

    address: Address
    name: str
    size: int
    stamp: str
    modified_at: datetime


class Objects(Protocol):
    """Where bytes lie. Nothing is cached. Every remote call ends within the deadline: ServiceDownError if not.

    A file that is not there: None, False, or FileNotFoundError, as each method says. What the store refuses, such as
    credentials, is a ServiceDownError with the remedy. Other errors of a local disk come as OSError.
    """

    def find(self, glob: Address) -> tuple[Found, ...]:
        """The files that match, by name; `*`, `?` and `[...]` stay within a folder, `**` is any number of folders."""
        ...

    def look(self, address: Address) -> Found | None:
        """The file at this address; None when there is none."""
        ...

    def fetch(self, address: Address, into: Path) -> str:
        """Copy the file to the local path `into`, in bounded memory; returns the sha256 of what was copied.

        ContractError when it changes, or goes, meanwhile; `into` is whole or not there.
        """
        ...

    def read(self, address: Address) -> bytes:
        """All its bytes; FileNotFoundError when it is not there. For small objects."""
        ...

    def put(self, file: Path, address: Address) -> None:
        """Store the local file there, in place of what was: whole or not at all."""
        ...

    def create(self, data: bytes, address: Address) -> bool:
        """Store `data` there unless something is: of several that try at once exactly one gets True."""
        ...

    def remove(self, address: Address) -> None:
        """Take it away; nothing happens when it is not there."""
        ...

    def names(self, folder: Address) -> tuple[str, ...]:
        """The names of the files directly in the folder, sorted; none when there is no such folder."""
        ...


def objects_for(address: Address, remote: Remote) -> Objects:
    """The adapter for what lies at this address."""
    raise NotImplementedError(f"{address}, {remote}: comes with the next commit")
