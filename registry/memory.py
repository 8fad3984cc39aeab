"""The ledger in memory: for tests and trials, and the plainest reading of the port. Ends with its process."""

# ruff: noqa: D102 - the port says what each method promises

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import RLock

from registry import rules
from registry.ledger import (
    Arrival,
    Batch,
    BatchKind,
    BatchState,
    Champion,
    Change,
    Head,
    Intent,
    IntentState,
    Lease,
    Recorded,
    Settled,
)
from registry.memory_batches import Batches
from registry.memory_records import Records
from validation.verdict import Verdict


class MemoryLedger:
    """Keeps the promises of `Ledger` for the threads of one process; `clock` is its own clock."""

    def __init__(self, clock: Callable[[], datetime] | None = None, *, key: bytes | None = None) -> None:
        self._clock = clock or partial(datetime.now, UTC)
        self._lock = RLock()
        self._records = Records(key)
        self._champions: dict[str, list[Champion]] = {}
        self._intents: dict[str, Intent] = {}
        self._leases: dict[tuple[str, str], Lease] = {}
        self._batches = Batches()

    def now(self) -> datetime:
        return self._clock()

    def record(self, verdict: Verdict, *, actor: str, lease: Lease | None = None) -> Recorded:
        with self._lock:
            self._check(lease)
            (record,) = self._records.append([verdict], actor=actor, now=self.now())
            return record

    def answer(self, question: int, verdict: Verdict, *, actor: str) -> Recorded:
        with self._lock:
            return self._records.answer(question, verdict, actor=actor, now=self.now())

    def answer_to(self, question: int) -> Recorded | None:
        with self._lock:
            return self._records.answer_to(question)

    def answers(self) -> Mapping[int, int]:
        with self._lock:
            return dict(sorted(self._records.answers.items()))

    def head(self) -> Head | None:
        with self._lock:
            return self._records.head

    def reseal(self, verdict: Verdict, *, actor: str) -> Recorded:
        with self._lock:
            return self._records.vouch(verdict, actor=actor, now=self.now())

    def verdicts(
        self,
        pipeline: str | None = None,
        *,
        kind: str | None = None,
        subject: str | None = None,
        seq: int | None = None,
        limit: int | None = None,
    ) -> tuple[Recorded, ...]:
        wanted = (pipeline, kind, subject, seq)
        with self._lock:
            found = [
                item for item in self._records.all if _fits(wanted, (item.pipeline, item.kind, item.subject, item.seq))
            ]
        return tuple(found if limit is None else found[max(0, len(found) - limit) :])

    def records(self, *, after: int = 0, limit: int = 1000) -> tuple[Recorded, ...]:
        with self._lock:
            return tuple(item for item in self._records.all if item.seq > after)[:limit]

    def champion(self, pipeline: str) -> Champion | None:
        return next(reversed(self.champions(pipeline)), None)

    def champions(self, pipeline: str | None = None) -> tuple[Champion, ...]:
        with self._lock:
            names = sorted(self._champions) if pipeline is None else [pipeline]
            return tuple(champion for name in names for champion in self._champions.get(name, ()))

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        with self._lock:
            self._check(lease)
            current = self.champion(change.pipeline)
            champion = rules.crowned(current, change, expected_epoch=expected_epoch, now=self.now())
            self._records.append([rules.announcement(champion)], actor=change.actor, now=self.now())
            self._champions.setdefault(change.pipeline, []).append(champion)
            return champion

    def ask(self, *, intent_id: str, pipeline: str, reason: str, data_time: datetime) -> Intent:
        with self._lock:
            live = [item for item in self.intents(pipeline) if item.state != "closed"]
            for known in (self._intents.get(intent_id), *live):
                if known:
                    return known
            return self._save(
                rules.opened(intent_id=intent_id, pipeline=pipeline, reason=reason, data_time=data_time, now=self.now())
            )

    def intent(self, intent_id: str) -> Intent | None:
        with self._lock:
            return self._intents.get(intent_id)

    def intents(self, pipeline: str | None = None, *, states: Sequence[IntentState] = ()) -> tuple[Intent, ...]:
        with self._lock:
            found = [item for item in self._intents.values() if _fits((pipeline,), (item.pipeline,))]
        return tuple(item for item in found if not states or item.state in states)

    def claim(self, intent_id: str, *, lease: Lease) -> Intent | None:
        with self._lock:
            self._check(lease)
            intent = rules.claimed(self._known(intent_id), lease, now=self.now())
            return intent and self._save(intent)

    def close(self, intent_id: str, *, outcome: str, lease: Lease | None = None) -> Intent:
        with self._lock:
            self._check(lease)
            return self._save(rules.closed(self._known(intent_id), outcome=outcome, now=self.now()))

    def defer(self, intent_id: str, *, until: datetime | None, condition: str, lease: Lease | None = None) -> Intent:
        with self._lock:
            self._check(lease)
            intent = self._known(intent_id)
            return self._save(rules.deferred(intent, until=until, condition=condition, now=self.now()))

    def reopen(self, intent_id: str) -> Intent:
        with self._lock:
            return self._save(rules.reopened(self._known(intent_id), now=self.now()))

    def acquire(self, pipeline: str, activity: str, *, holder: str, ttl: timedelta) -> Lease | None:
        with self._lock:
            now = self.now()
            current = self._leases.get((pipeline, activity))
            wish = Lease(
                pipeline=pipeline, activity=activity, holder=holder, token=0, expires_at=rules.expiry(now, ttl)
            )
            taken = rules.taken(current, wish, now=now)
            if taken:
                self._leases[pipeline, activity] = taken
            return taken

    def heartbeat(self, lease: Lease, *, ttl: timedelta) -> Lease:
        with self._lock:
            self._check(lease)
            extended = replace(lease, expires_at=rules.expiry(self.now(), ttl))
            self._leases[lease.pipeline, lease.activity] = extended
            return extended

    def release(self, lease: Lease) -> None:
        key = (lease.pipeline, lease.activity)
        with self._lock:
            if rules.held(self._leases.get(key), lease):
                self._leases[key] = rules.freed(lease)

    def leases(self, pipeline: str | None = None) -> tuple[Lease, ...]:
        with self._lock:
            found = [self._leases[key] for key in sorted(self._leases)]
        return tuple(item for item in found if item.holder != rules.FREE and _fits((pipeline,), (item.pipeline,)))

    def claim_batches(self, pipeline: str, kind: BatchKind, arrivals: Sequence[Arrival]) -> tuple[Batch, ...]:
        with self._lock:
            return self._batches.claim(pipeline, kind, arrivals, now=self.now())

    def finish_batches(
        self, finished: Sequence[tuple[Batch, Verdict]], *, actor: str, lease: Lease | None = None
    ) -> tuple[Batch, ...]:
        with self._lock:
            self._check(lease)
            return self._batches.finish(finished, partial(self._records.append, actor=actor, now=self.now()))

    def settle_batch(self, batch: Batch, verdict: Verdict, *, state: Settled, actor: str) -> Batch:
        with self._lock:
            append = partial(self._records.append, actor=actor, now=self.now())
            return self._batches.settle(batch, verdict, append, state=state)

    def batches(
        self, pipeline: str | None = None, *, kind: BatchKind | None = None, states: Sequence[BatchState] = ()
    ) -> tuple[Batch, ...]:
        with self._lock:
            found = self._batches.all()
        mine = (item for item in found if _fits((pipeline, kind), (item.pipeline, item.kind)))
        return tuple(item for item in mine if not states or item.state in states)

    def _check(self, lease: Lease | None) -> None:
        if lease is not None:
            rules.check(self._leases.get((lease.pipeline, lease.activity)), lease)

    def _known(self, intent_id: str) -> Intent:
        intent = self._intents.get(intent_id)
        if intent is None:
            raise rules.unknown("intent", intent_id)
        return intent

    def _save(self, intent: Intent) -> Intent:
        self._intents[intent.id] = intent
        return intent


def _fits(wanted: Sequence[str | int | None], found: Sequence[str | int]) -> bool:
    """Whether all that is wanted is found; None wants all."""
    return all(wish is None or wish == value for wish, value in zip(wanted, found, strict=True))
