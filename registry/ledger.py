"""The ledger: the one place that says what was decided and who is champion. A port; memory.py and sql.py keep it.

Promises of every adapter (tests/contract/test_ledger.py holds them all to these):

- Verdicts and champions are append-only. Each verdict carries the hash of the one before it (sha256 over canonical
  JSON), over all pipelines, in the order of `seq`.
- The newest record is named by the sealed head (seal.py), written in the same transaction. Before each append it is
  checked, at the same cost for any length, that the newest record is the one that the head names and that its seal is
  this writer's: else RegistryError, and nothing is written. A ledger that is not sealed yet is sealed by the first
  append of a writer with a key; readers need none.
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
from datetime import datetime, timedelta
from typing import Protocol

from registry.records import (
    GONE,
    Arrival,
    Batch,
    BatchKind,
    BatchState,
    Champion,
    Change,
    ChangeKind,
    Head,
    Intent,
    IntentState,
    Lease,
    Recorded,
    Settled,
)
from validation.verdict import Verdict

__all__ = [
    "GONE",
    "Arrival",
    "Batch",
    "BatchKind",
    "BatchState",
    "Champion",
    "Change",
    "ChangeKind",
    "Head",
    "Intent",
    "IntentState",
    "Lease",
    "Ledger",
    "Recorded",
    "Settled",
]


class Ledger(Protocol):
    """See the module's promises."""

    def now(self) -> datetime:
        """The ledger's own clock."""

    def record(self, verdict: Verdict, *, actor: str, lease: Lease | None = None) -> Recorded:
        """Append a verdict."""

    def answer(self, question: int, verdict: Verdict, *, actor: str) -> Recorded:
        """Append the one answer to the verdict of the number `question`: exactly one of two concurrent calls wins.

        RefusedError, with who answered what, when it has one; RegistryError when there is no such verdict.
        """

    def answer_to(self, question: int) -> Recorded | None:
        """The answer, or None while there is none."""

    def answers(self) -> Mapping[int, int]:
        """The number of each question's answer, by the question's."""

    def head(self) -> Head | None:
        """The sealed head; None where nothing was written yet, or by an Andon without one."""

    def reseal(self, verdict: Verdict, *, actor: str) -> Recorded:
        """Append without checking the old seal, and seal anew: by `verdict` a person vouches for the ledger as it is.

        RegistryError when it was sealed and this ledger was opened without a key.
        """

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

    def records(self, *, after: int = 0, limit: int = 1000) -> tuple[Recorded, ...]:
        """The first `limit` verdicts of all pipelines behind the number `after`, in order: to read them in parts."""

    def champion(self, pipeline: str) -> Champion | None:
        """The row with the highest epoch, or None when nothing was ever promoted."""

    def champions(self, pipeline: str | None = None) -> tuple[Champion, ...]:
        """All rows, by epoch; those of all pipelines (None) by pipeline and epoch."""

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        """Compare-and-set: make `change.version` champion if the epoch is still `expected_epoch` (0: none yet).

        Also appends a verdict in the same transaction: of kind "promotion" with the outcome "promoted", "forced" or
        "adopted", or of kind "rollback" with "rolled_back" (subject: the version; reasons: `why`; body: the change,
        epoch and from_version). A rollback is given no lease and waits for none.
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
