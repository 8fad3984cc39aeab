"""After a rollback: until when nothing is retrained by itself, and what was taken back may not return."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """A rollback, by what was rolled back from. `at`: its data time, which is today's when a person typed it.

    `known`: the newest data time in the ledger before it, None when there was none that is still looked at.
    """

    version: str
    bundle_sha256: str
    at: datetime
    why: str
    known: datetime | None = None

    def since(self, as_of: datetime) -> datetime | None:
        """From when the cooldown counts for a decision at `as_of`; None: it has passed long ago.

        The data of a pipeline may lie in last year, where a rollback of today comes after everything: then that data
        time counts at which the pipeline was when the rollback happened.
        """
        return self.at if as_of >= self.at else self.known


def suppressed_until(taken_back: Iterable[TakenBack], *, cooldown: timedelta, as_of: datetime) -> datetime | None:
    """The end of the cooldown after the newest of the rollbacks; None when it is over, or there was no rollback."""
    ends = [since + cooldown for item in taken_back if (since := item.since(as_of)) is not None]
    return max((end for end in ends if as_of < end), default=None)


def suppressed(
    taken_back: Iterable[TakenBack], *, cooldown: timedelta, version: str, bundle_sha256: str, as_of: datetime
) -> str | None:
    """Why this version, or the same bytes under another number, may not be promoted yet; None when it may."""
    back = [item for item in taken_back if item.version == version or item.bundle_sha256 == bundle_sha256]
    until = suppressed_until(back, cooldown=cooldown, as_of=as_of)
    if until is None:
        return None
    bytes_of = "" if back[-1].version == version else f", which has the bytes of version {back[-1].version},"
    return (
        f"version {version}{bytes_of} was rolled back from ({back[-1].why}) and may not return before "
        f"{until:%Y-%m-%d %H:%M} (governor.cooldown)"
    )
