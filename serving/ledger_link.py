"""The scorer's view of the ledger: who is champion. It never makes a ledger, and survives that one is moved away."""

import threading
from pathlib import Path
from urllib.parse import urlsplit

from registry.ledger import Champion, Ledger
from registry.sql import open_ledger


class LedgerLink:
    """Opened at the first question, and again when the file behind it is another one. Threads may share it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ledger: Ledger | None = None
        self._seen: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def champion(self, pipeline: str) -> Champion | None:
        """The champion; None when there is none, or no ledger yet. Raises when the ledger does not answer."""
        with self._lock:
            ledger = self._open()
        return None if ledger is None else ledger.champion(pipeline)

    def _open(self) -> Ledger | None:
        file = _file_of(self._url)
        seen = None if file is None else _identity(file)
        if file is not None and seen is None:
            self._ledger = None  # NOTE: opening it would make an empty one, in the place of the one to be restored
        elif self._ledger is None or seen != self._seen:
            self._ledger, self._seen = open_ledger(self._url), seen
        return self._ledger


def _file_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(parts.path.removeprefix("/")) if parts.scheme.startswith("sqlite") else None


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
