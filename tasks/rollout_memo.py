"""What a sweep remembers of the live figures for the next one, in a file on this machine. Losing it loses nothing but
the view of the last hour: the ledger alone decides.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import msgspec

from storage.lake import write_whole
from tasks.site import Site
from validation.rollout_rules import Live

HOUR = timedelta(hours=1)
_FRESH = timedelta(minutes=1)  # the file is not written for less
_MOST = 240  # samples kept; a sweep a minute makes sixty in an hour
_SPAN = "in the last hour"


class Sample(msgspec.Struct, frozen=True):
    """What the scorer had counted at a moment of the ledger's clock."""

    at: datetime
    requests: int
    failed: int

    def goes_on_from(self, before: Self) -> bool:
        """Was it counted on? No count falls, unless the scorer has started anew."""
        return self.failed >= before.failed and self.requests - self.failed >= before.requests - before.failed


class Look(msgspec.Struct, frozen=True):
    """A look at the labels: of how many blocks of time, with how many accepted batches of labels, and the newest."""

    blocks: int = 0
    batches: int = 0
    newest: int = 0


class Memo(msgspec.Struct, frozen=True):
    """Of the reign `epoch`: samples of its figures, oldest first; the last look at its labels.

    Of the scorer: when it was last seen to answer, and since when it is degraded.
    """

    epoch: int = 0
    samples: tuple[Sample, ...] = ()
    looked: Look = Look()
    answered_at: datetime | None = None
    degraded_since: datetime | None = None

    def of(self, epoch: int) -> Self:
        """The memo for this reign."""
        return self if self.epoch == epoch else msgspec.structs.replace(self, epoch=epoch, samples=(), looked=Look())

    def with_look(self, look: Look) -> Self:
        """With the newest look at the labels."""
        return msgspec.structs.replace(self, looked=look)

    def with_sample(self, live: Live, now: datetime) -> Self:
        """With the figures of now; what is older than an hour is left out, but for the newest of it, and all that was
        counted before the scorer started anew.
        """
        sample = Sample(at=now, requests=live.requests, failed=live.failed)
        kept = [*(self.samples if self.samples and sample.goes_on_from(self.samples[-1]) else ()), sample]
        old = sum(sample.at <= now - HOUR for sample in kept)
        return msgspec.structs.replace(self, samples=tuple(kept[max(old - 1, 0) :][-_MOST:]))

    def seen(self, status: str | None, now: datetime) -> Self:
        """With how the scorer stands now; None: it does not answer."""
        since = (self.degraded_since or now) if status is not None and status.startswith("degraded") else None
        fresh = self.answered_at is None or now - self.answered_at > _FRESH
        at = now if status is not None and fresh else self.answered_at
        return msgspec.structs.replace(self, answered_at=at, degraded_since=since)

    def recent(self) -> Live | None:
        """What was counted in the last hour, or since the scorer started anew; None when that is not known yet."""
        if len(self.samples) < 2:
            return None
        first, last = self.samples[0], self.samples[-1]
        return Live(requests=last.requests - first.requests, failed=last.failed - first.failed, span=_SPAN)


def read_memo(site: Site) -> Memo:
    """The memo of the pipeline; an empty one where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(_place(site).read_bytes(), type=Memo)
    except (OSError, msgspec.DecodeError):
        return Memo()


def write_memo(site: Site, memo: Memo) -> None:
    """Keep it for the next sweep."""
    write_whole(_place(site), lambda beside: beside.write_bytes(msgspec.json.encode(memo)))


def _place(site: Site) -> Path:
    return site.settings.home.absolute() / "rollout" / f"{site.name}.json"
