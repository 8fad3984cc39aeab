"""Whole files and small objects, wherever they lie: one port, an adapter for local folders and one for S3."""

from functools import lru_cache
from pathlib import Path
from typing import Protocol

from storage.address import Address
from storage.found import Found
from storage.local import LocalObjects
from storage.remote import Remote

__all__ = ["Found", "Objects", "objects_for"]


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

    def fetch(self, address: Address, into: Path, *, stamp: str = "") -> str:
        """Copy the file to the local path `into`, in bounded memory; returns the sha256 of what was copied.

        ContractError when it is no longer the one of `stamp`, changes or goes meanwhile; DamagedError, with the copy
        made, when it is not what the store's own checksum says. `into` is whole or not there.
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

    def create_from(self, file: Path, address: Address) -> bool:
        """The same with a local file, of any size: whole or not at all. The file stays, and must not be changed."""
        ...

    def remove(self, address: Address) -> None:
        """Take it away; nothing happens when it is not there."""
        ...

    def names(self, folder: Address) -> tuple[str, ...]:
        """The names of the files directly in the folder, sorted; none when there is no such folder."""
        ...


def objects_for(address: Address, remote: Remote) -> Objects:
    """The adapter for what lies at this address."""
    return _bucket_objects(remote) if address.is_remote else LocalObjects()


@lru_cache(maxsize=8)
def _bucket_objects(remote: Remote) -> Objects:
    """One connection pool for a process."""
    from storage.s3 import S3Objects

    return S3Objects(remote)
