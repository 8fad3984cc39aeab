"""The ledger: the one place that says what was decided and who is champion. A port; memory.py and sql.py keep it.

Promises of every adapter (tests/contract/test_ledger.py holds them all to these):

- Verdicts and champions are append-only. Each verdict carries the hash of the one before it (sha256 over canonical
  JSON), over all pipelines, in the order of `seq`.
- `crown` inserts epoch = expected_epoch + 1 or raises StaleEpochError: exactly one of two concurrent calls wins.
- A write that is given a lease raises LeaseLostError, and writes nothing, when the lease is no longer the holder's
  (it was released, or its token is not the newest); check and write are one transaction. Late is not lost: an expired
  lease that nobody took over still writes.
- Clocks: `recorded_at` and lease expiry are the ledger's own clock; `data_time` is always given by the caller.
- All moments are timezone-aware UTC; one without a time zone raises RegistryError.
- NaN and infinities are null in a verdict's `body`; NUL and lone surrogates in texts become U+FFFD.
- An unknown intent or batch raises RegistryError; a ledger that does not answer raises ServiceDownError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from validation.verdict import Verdict

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
class Change:
    """A promotion or rollback to be written: which version becomes champion, which bytes, and why.

    `trained_until`: no row of this data time or later was seen in training. `intent`: the intent that it answers.
    """

    pipeline: str
    kind: Literal["promotion", "rollback"]
    version: str
    bundle_sha256: str
    trained_until: datetime
    why: str
    data_time: datetime
    actor: str
    intent: str | None = None


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


class Ledger(Protocol):
    """See the module's promises."""

    def now(self) -> datetime:
        """The ledger's own clock."""

    def record(self, verdict: Verdict, *, actor: str, lease: Lease | None = None) -> Recorded:
        """Append a verdict."""

    def verdicts(
        self,
        pipeline: str | None = None,
        *,
        kind: str | None = None,
        subject: str | None = None,
        seq: int | None = None,
        limit: int | None = None,
    ) -> tuple[Recorded, ...]:
        """Verdicts in the order of `seq` (or that of one `seq`); with `limit`, the newest so many, in that order."""

    def champion(self, pipeline: str) -> Champion | None:
        """The row with the highest epoch, or None when nothing was ever promoted."""

    def champions(self, pipeline: str) -> tuple[Champion, ...]:
        """All rows, by epoch."""

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        """Compare-and-set: make `change.version` champion if the epoch is still `expected_epoch` (0: none yet).

        Also appends a verdict of kind "promotion" or "rollback" (subject: the version; outcome: "promoted" or
        "rolled_back"; reasons: `why`; body: the change, epoch and from_version) in the same transaction. A rollback is
        given no lease and waits for none.
        """

    def ask(self, *, intent_id: str, pipeline: str, reason: str, data_time: datetime) -> Intent:
        """Create an open intent, or return the one of this id as it is. At most one of a pipeline is not closed:
        while one is open, claimed or deferred, that one is returned instead.
        """

    def intent(self, intent_id: str) -> Intent | None:
        """One intent."""

    def intents(self, pipeline: str | None = None, *, states: Sequence[IntentState] = ()) -> tuple[Intent, ...]:
        """Intents by creation; all states when none are named."""

    def claim(self, intent_id: str, *, lease: Lease) -> Intent | None:
        """Open -> claimed with attempt + 1, for the lease's holder; None when it is not open (somebody else has it).

        `lease` is the pipeline's "retrain" lease (another one raises RefusedError). What was claimed under an older
        token can be claimed again: that claimant lost its lease.
        """

    def close(self, intent_id: str, *, outcome: str, lease: Lease | None = None) -> Intent:
        """Any state -> closed, with the outcome in a word or a sentence; a closed one is returned as it is."""

    def defer(self, intent_id: str, *, until: datetime | None, condition: str, lease: Lease | None = None) -> Intent:
        """Any state but closed (RefusedError) -> deferred, until a moment or on a condition, or both."""

    def reopen(self, intent_id: str) -> Intent:
        """Any state but closed (RefusedError) -> open: its moment has come, or its claimant died."""

    def acquire(self, pipeline: str, activity: str, *, holder: str, ttl: timedelta) -> Lease | None:
        """Take the lease if it is free or expired (token + 1); None while another holder's is alive. A holder that
        asks again takes over from its older self (a run that was killed and retried): token + 1.
        """

    def heartbeat(self, lease: Lease, *, ttl: timedelta) -> Lease:
        """Extend; LeaseLostError when the token is no longer the newest or the lease was released."""

    def release(self, lease: Lease) -> None:
        """Give it back; nothing happens when it was lost."""

    def leases(self, pipeline: str | None = None) -> tuple[Lease, ...]:
        """Leases that are held, expired ones included."""

    def claim_batches(self, pipeline: str, kind: BatchKind, arrivals: Sequence[Arrival]) -> tuple[Batch, ...]:
        """Register arrived files in one transaction: for each its batch, new ones "claimed" under the next numbers.

        When the same bytes were claimed before under this name, that batch is returned (finish it, or it is done), with
        the new stamp; one that was finished with the stamp GONE is not finished any more, since its file has come
        again. Under another name, also of the same call, a new batch is created in the state "duplicate"; but
        "claimed" when nothing was taken of these bytes: all their batches were refused or dropped. The same becomes of
        a duplicate that is not finished yet.
        """

    def finish_batches(
        self, finished: Sequence[tuple[Batch, Verdict]], *, actor: str, lease: Lease | None = None
    ) -> tuple[Batch, ...]:
        """Write the batches' final states and counts together with their verdicts, in one transaction; one that is
        finished already ("suspect" too) is returned as it is, and no second verdict is written. A "duplicate" may be
        finished as well: its one verdict says so. Of stamps, only GONE is written.
        """

    def settle_batch(self, batch: Batch, verdict: Verdict, *, state: Settled, actor: str) -> Batch:
        """Release (accepted) or drop a suspect batch by a person's verdict, with the counts and span that `batch` has;
        RefusedError when the batch is not suspect (any more).
        """

    def batches(
        self, pipeline: str | None = None, *, kind: BatchKind | None = None, states: Sequence[BatchState] = ()
    ) -> tuple[Batch, ...]:
        """Batches by pipeline, kind and number; in all states when none are named."""
