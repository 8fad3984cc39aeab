"""The values that the ledger holds: records of verdicts, champions, intents, leases and batches. See ledger.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

ChangeKind = Literal["promotion", "rollback", "forced", "adoption"]
IntentState = Literal["open", "claimed", "deferred", "closed"]
BatchKind = str  # "rows", "labels", or the name of a reference table
BatchState = Literal["claimed", "accepted", "suspect", "refused", "duplicate", "dropped"]
Settled = Literal["accepted", "dropped"]
GONE = "gone"  # the stamp of a batch that was refused as its file was not there any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A verdict as the ledger holds it; `body` are the JSON values of all its fields."""

    seq: int
    kind: str
    pipeline: str
    subject: str
    outcome: str
    reasons: tuple[str, ...]
    body: Mapping[str, Any]
    data_time: datetime
    actor: str
    recorded_at: datetime
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest record by number and hash, as a holder of the key sealed it; unsealed, `mac` and `key_id` are ""."""

    seq: int
    hash: str
    mac: str = ""
    key_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the champion to be written: which version, which bytes, and why.

    `kind`: "forced" is a promotion past the gate by a person, "adoption" one that took over an alias moved by hand.
    `trained_until`: no row of this data time or later was seen in training. `intent`: the intent that it answers,
    `evidence`: the seq of the gate's verdict that stands behind it.
    """

    pipeline: str
    kind: ChangeKind
    version: str
    bundle_sha256: str
    trained_until: datetime
    why: str
    data_time: datetime
    actor: str
    intent: str | None = None
    evidence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """A row of the champions' history: the change and its epoch (1, 2, 3, ... per pipeline)."""

    epoch: int
    change: Change
    from_version: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A wish to retrain. `attempt` counts claims; a deferred one has `until` (data time) and/or a `condition`.

    `token`: of the claimant's lease, while claimed; with a newer or no such lease, the claimant is dead.
    """

    id: str
    pipeline: str
    reason: str
    data_time: datetime
    state: IntentState
    attempt: int
    until: datetime | None
    condition: str
    outcome: str
    created_at: datetime
    changed_at: datetime
    token: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to do one activity for one pipeline; `token` grows with each new holder (fencing)."""

    pipeline: str
    activity: str
    holder: str
    token: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that has landed; by its `stamp` (size and time, or size and ETag) it is known again without its bytes."""

    name: str
    sha256: str
    stamp: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """An arrived file. `number` grows by one per pipeline and kind; `sha256` is of its bytes; `stamp` as last seen.

    `span`: first and last event time of its accepted rows. `verdict_seq`: the newest verdict that finished it, or None;
    `settled_seq`: the one by which a person released or dropped it.
    """

    pipeline: str
    kind: BatchKind
    number: int
    name: str
    sha256: str
    state: BatchState
    rows_in: int
    rows_accepted: int
    rows_quarantined: int
    rows_duplicate: int
    span: tuple[datetime, datetime] | None
    recorded_at: datetime
    verdict_seq: int | None = None
    stamp: str = ""
    settled_seq: int | None = None


def is_of_reign(row: Recorded, champion: Champion) -> bool:
    """Whether a window was judged by this champion's reference; of an older Andon, whether it was judged since."""
    epoch = row.body.get("epoch")
    return epoch == champion.epoch if epoch else row.recorded_at >= champion.recorded_at
