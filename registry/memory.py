"""The ledger in memory: for tests and trials, and the plainest reading of the port. Ends with its process."""

# ruff: noqa: D102 - the port says what each method promises

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import RLock

from registry import batch_rules, rules
from registry.chain import follow
from registry.ledger import (
    Arrival,
    Batch,
    BatchKind,
    BatchState,
    Champion,
    Change,
    Intent,
    IntentState,
    Lease,
    Recorded,
    Settled,
)
from validation.verdict import Verdict


class MemoryLedger:
    """Keeps the promises of `Ledger` for the threads of one process; `clock` is its own clock."""

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or partial(datetime.now, UTC)
        self._lock = RLock()
        self._verdicts: list[Recorded] = []
        self._champions: dict[str, list[Champion]] = {}
        self._intents: dict[str, Intent] = {}
        self._leases: dict[tuple[str, str], Lease] = {}
        self._batches: dict[tuple[str, BatchKind, int], Batch] = {}

    def now(self) -> datetime:
        return self._clock()

    def record(self, verdict: Verdict, *, actor: str, lease: Lease | None = None) -> Recorded:
        with self._lock:
            self._check(lease)
            return self._append(verdict, actor=actor)

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
                item for item in self._verdicts if _fits(wanted, (item.pipeline, item.kind, item.subject, item.seq))
            ]
        return tuple(found if limit is None else found[max(0, len(found) - limit) :])

    def champion(self, pipeline: str) -> Champion | None:
        return next(reversed(self.champions(pipeline)), None)

    def champions(self, pipeline: str) -> tuple[Champion, ...]:
        with self._lock:
            return tuple(self._champions.get(pipeline, ()))

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        with self._lock:
            self._check(lease)
            current = self.champion(change.pipeline)
            champion = rules.crowned(current, change, expected_epoch=expected_epoch, now=self.now())
            self._append(rules.announcement(champion), actor=change.actor)
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
        wanted = {arrival.sha256 for arrival in arrivals}
        with self._lock:
            before = self.batches(pipeline, kind=kind)
            found = batch_rules.registered(
                [batch for batch in before if batch.sha256 in wanted],
                arrivals,
                pipeline=pipeline,
                kind=kind,
                next_number=len(before) + 1,
                now=self.now(),
            )
            for batch in found:
                self._batches[_key(batch)] = batch
            return found

    def finish_batches(
        self, finished: Sequence[tuple[Batch, Verdict]], *, actor: str, lease: Lease | None = None
    ) -> tuple[Batch, ...]:
        with self._lock:
            self._check(lease)
            done = dict[tuple[str, BatchKind, int], tuple[Batch, Verdict]]()
            for batch, verdict in finished:
                stored, seq = self._stored(batch), len(self._verdicts) + len(done) + 1
                if stored.verdict_seq is None and _key(batch) not in done:
                    done[_key(batch)] = (batch_rules.finished(stored, batch, verdict_seq=seq), verdict)
            for key, (batch, verdict) in done.items():
                self._append(verdict, actor=actor)
                self._batches[key] = batch
            return tuple(self._batches[_key(batch)] for batch, _ in finished)

    def settle_batch(self, batch: Batch, verdict: Verdict, *, state: Settled, actor: str) -> Batch:
        with self._lock:
            settled_seq = len(self._verdicts) + 1
            done = batch_rules.settled(self._stored(batch), batch, state=state, settled_seq=settled_seq)
            self._append(verdict, actor=actor)
            self._batches[_key(batch)] = done
            return done

    def batches(
        self, pipeline: str | None = None, *, kind: BatchKind | None = None, states: Sequence[BatchState] = ()
    ) -> tuple[Batch, ...]:
        with self._lock:
            found = [self._batches[key] for key in sorted(self._batches)]
        mine = (item for item in found if _fits((pipeline, kind), (item.pipeline, item.kind)))
        return tuple(item for item in mine if not states or item.state in states)

    def _append(self, verdict: Verdict, *, actor: str) -> Recorded:
        head = self._verdicts[-1] if self._verdicts else None
        record = follow(head, verdict, actor=actor, now=self.now())
        self._verdicts.append(record)
        return record

    def _check(self, lease: Lease | None) -> None:
        if lease is not None:
            rules.check(self._leases.get((lease.pipeline, lease.activity)), lease)

    def _stored(self, batch: Batch) -> Batch:
        stored = self._batches.get(_key(batch))
        if stored is None:
            raise batch_rules.unknown(batch)
        return stored

    def _known(self, intent_id: str) -> Intent:
        intent = self._intents.get(intent_id)
        if intent is None:
            raise rules.unknown("intent", intent_id)
        return intent

    def _save(self, intent: Intent) -> Intent:
        self._intents[intent.id] = intent
        return intent


def _key(batch: Batch) -> tuple[str, BatchKind, int]:
    return batch.pipeline, batch.kind, batch.number


def _fits(wanted: Sequence[str | int | None], found: Sequence[str | int]) -> bool:
    """Whether all that is wanted is found; None wants all."""
    return all(wish is None or wish == value for wish, value in zip(wanted, found, strict=True))
