"""The scorer's view of the ledger: who is champion, and who answers in the shadow. It never makes a ledger, and
survives that one is moved away. SQLAlchemy is imported at the first question.
"""

import threading
from pathlib import Path
from urllib.parse import urlsplit

from registry.ledger import Champion, Ledger
from registry.rollout import InShadow, in_shadow
from validation.errors import ServiceDownError


class LedgerLink:
    """Opened at the first question, and again when the file behind it is another one. Threads may share it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ledger: Ledger | None = None
        self._seen: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def champion(self, pipeline: str) -> Champion | None:
        """The champion; None when there is none, or no ledger yet. Raises when the ledger does not answer."""
        ledger = self._open()
        return None if ledger is None else ledger.champion(pipeline)

    def in_shadow(self, pipeline: str) -> tuple[InShadow, ...]:
        """Who answers in the shadow; nobody while there is no ledger."""
        ledger = self._open()
        return () if ledger is None else in_shadow(ledger, pipeline)

    def ledger(self) -> Ledger:
        """The ledger itself; ServiceDownError while there is none."""
        if (ledger := self._open()) is None:
            raise ServiceDownError("there is no ledger; restore it or set ANDON_LEDGER_URL")
        return ledger

    def _open(self) -> Ledger | None:
        file = _file_of(self._url)
        seen = None if file is None else _identity(file)
        with self._lock:
            if file is not None and seen is None:
                self._ledger = None  # NOTE: opening it would make an empty one, in the place of the one to be restored
            elif self._ledger is None or seen != self._seen:
                from registry.sql import open_ledger

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
