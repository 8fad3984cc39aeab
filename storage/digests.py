"""The digest of a local file, in bounded memory."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 2**20


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """All bytes from here on, a piece at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def sha256_of(path: Path) -> tuple[str, int]:
    """The sha256 and the size of all bytes of the file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for chunk in chunks(file):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size
