"""The ledger in a SQL database: SQLite for one machine, PostgreSQL for many. Each write is one short transaction.

Rows are read, `rules` decides, rows are written; all under the database's one-writer lock (engine.py).
"""

# ruff: noqa: D102 - the port says what each method promises

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Engine, and_, insert, select

from registry import batches, rows, rules, tables, verdicts
from registry.engine import connect, now, reading, writing
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
    Ledger,
    Recorded,
    Settled,
)
from registry.tables import ANSWERS, BATCHES, CHAMPIONS, INTENTS, LEASES, VERDICTS, match, row
from validation.verdict import Verdict


def open_ledger(url: str, *, key: bytes | None = None) -> Ledger:
    """The ledger at a SQLAlchemy URL (sqlite or postgresql), made when it is new.

    `key` seals what is written (Settings.seal_key); who only reads needs none. ServiceDownError when it does not
    answer; DefinitionError when the URL cannot be read.
    """
    return SqlLedger(connect(url), key=key)


class SqlLedger:
    """Keeps the promises of `Ledger` on the tables of an engine from `connect`. Threads may share one."""

    def __init__(self, engine: Engine, *, key: bytes | None = None) -> None:
        self._engine, self._key = engine, key
        self._closer = weakref.finalize(self, engine.dispose)

    def dispose(self) -> None:
        """Give back all connections (also done when the ledger is forgotten)."""
        self._closer()

    def now(self) -> datetime:
        with reading(self._engine) as connection:
            return now(connection)

    def record(self, verdict: Verdict, *, actor: str, lease: Lease | None = None) -> Recorded:
        with writing(self._engine) as connection:
            rows.check(connection, lease)
            (record,) = verdicts.append(connection, [verdict], actor=actor, key=self._key)
            return record

    def answer(self, question: int, verdict: Verdict, *, actor: str) -> Recorded:
        with writing(self._engine) as connection:
            return verdicts.answer(connection, question, verdict, actor=actor, key=self._key)

    def answer_to(self, question: int) -> Recorded | None:
        with reading(self._engine) as connection:
            return verdicts.answer_to(connection, question)

    def answers(self) -> Mapping[int, int]:
        with reading(self._engine) as connection:
            found = connection.execute(select(ANSWERS.c.question, ANSWERS.c.answer).order_by(ANSWERS.c.question))
            return {item.question: item.answer for item in found}

    def head(self) -> Head | None:
        with reading(self._engine) as connection:
            return verdicts.head(connection)

    def reseal(self, verdict: Verdict, *, actor: str) -> Recorded:
        with writing(self._engine) as connection:
            return verdicts.vouch(connection, verdict, actor=actor, key=self._key)

    def verdicts(
        self,
        pipeline: str | None = None,
        *,
        kind: str | None = None,
        subject: str | None = None,
        seq: int | None = None,
        limit: int | None = None,
    ) -> tuple[Recorded, ...]:
        wanted = match(VERDICTS, pipeline=pipeline, kind=kind, subject=subject, seq=seq)
        newest_first = select(VERDICTS).where(wanted).order_by(VERDICTS.c.seq.desc()).limit(limit)
        with reading(self._engine) as connection:
            return verdicts.read(connection, newest_first)[::-1]

    def records(self, *, after: int = 0, limit: int = 1000) -> tuple[Recorded, ...]:
        behind = select(VERDICTS).where(VERDICTS.c.seq > after).order_by(VERDICTS.c.seq).limit(limit)
        with reading(self._engine) as connection:
            return verdicts.read(connection, behind)

    def champion(self, pipeline: str) -> Champion | None:
        with reading(self._engine) as connection:
            return rows.champion(connection, pipeline)

    def champions(self, pipeline: str | None = None) -> tuple[Champion, ...]:
        mine = select(CHAMPIONS).where(match(CHAMPIONS, pipeline=pipeline))
        by_epoch = mine.order_by(CHAMPIONS.c.pipeline, CHAMPIONS.c.epoch)
        with reading(self._engine) as connection:
            return tuple(tables.to_champion(item) for item in connection.execute(by_epoch).mappings())

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        with writing(self._engine) as connection:
            rows.check(connection, lease)
            current = rows.champion(connection, change.pipeline)
            champion = rules.crowned(current, change, expected_epoch=expected_epoch, now=now(connection))
            connection.execute(insert(CHAMPIONS).values(tables.champion_row(champion)))
            verdicts.append(connection, [rules.announcement(champion)], actor=change.actor, key=self._key)
            return champion

    def ask(self, *, intent_id: str, pipeline: str, reason: str, data_time: datetime) -> Intent:
        live = and_(INTENTS.c.pipeline == pipeline, INTENTS.c.state != "closed")
        with writing(self._engine) as connection:
            known = rows.find(connection, INTENTS, id=intent_id)
            known = known or connection.execute(select(INTENTS).where(live)).mappings().first()
            if known:
                return Intent(**known)
            intent = rules.opened(
                intent_id=intent_id, pipeline=pipeline, reason=reason, data_time=data_time, now=now(connection)
            )
            connection.execute(insert(INTENTS).values(row(intent)))
            return intent

    def intent(self, intent_id: str) -> Intent | None:
        with reading(self._engine) as connection:
            found = rows.find(connection, INTENTS, id=intent_id)
        return Intent(**found) if found else None

    def intents(self, pipeline: str | None = None, *, states: Sequence[IntentState] = ()) -> tuple[Intent, ...]:
        by_creation = select(INTENTS).where(match(INTENTS, pipeline=pipeline))
        if states:
            by_creation = by_creation.where(INTENTS.c.state.in_(states))
        with reading(self._engine) as connection:
            found = connection.execute(by_creation.order_by(INTENTS.c.created_at, INTENTS.c.id)).mappings()
            return tuple(Intent(**item) for item in found)

    def claim(self, intent_id: str, *, lease: Lease) -> Intent | None:
        with writing(self._engine) as connection:
            rows.check(connection, lease)
            intent = rules.claimed(rows.intent(connection, intent_id), lease, now=now(connection))
            return intent and rows.save(connection, intent)

    def close(self, intent_id: str, *, outcome: str, lease: Lease | None = None) -> Intent:
        with writing(self._engine) as connection:
            rows.check(connection, lease)
            intent = rows.intent(connection, intent_id)
            return rows.save(connection, rules.closed(intent, outcome=outcome, now=now(connection)))

    def defer(self, intent_id: str, *, until: datetime | None, condition: str, lease: Lease | None = None) -> Intent:
        with writing(self._engine) as connection:
            rows.check(connection, lease)
            intent = rows.intent(connection, intent_id)
            return rows.save(connection, rules.deferred(intent, until=until, condition=condition, now=now(connection)))

    def reopen(self, intent_id: str) -> Intent:
        with writing(self._engine) as connection:
            intent = rows.intent(connection, intent_id)
            return rows.save(connection, rules.reopened(intent, now=now(connection)))

    def acquire(self, pipeline: str, activity: str, *, holder: str, ttl: timedelta) -> Lease | None:
        with writing(self._engine) as connection:
            moment = now(connection)
            current = rows.lease(connection, pipeline, activity)
            wish = Lease(
                pipeline=pipeline, activity=activity, holder=holder, token=0, expires_at=rules.expiry(moment, ttl)
            )
            taken = rules.taken(current, wish, now=moment)
            if taken and current is None:
                connection.execute(insert(LEASES).values(row(taken)))
            elif taken:
                rows.replace(connection, taken)
            return taken

    def heartbeat(self, lease: Lease, *, ttl: timedelta) -> Lease:
        with writing(self._engine) as connection:
            rows.check(connection, lease)
            return rows.replace(connection, replace(lease, expires_at=rules.expiry(now(connection), ttl)))

    def release(self, lease: Lease) -> None:
        with writing(self._engine) as connection:
            current = rows.lease(connection, lease.pipeline, lease.activity)
            if rules.held(current, lease):
                rows.replace(connection, rules.freed(lease))

    def leases(self, pipeline: str | None = None) -> tuple[Lease, ...]:
        wanted = and_(match(LEASES, pipeline=pipeline), LEASES.c.holder != rules.FREE)
        with reading(self._engine) as connection:
            found = connection.execute(select(LEASES).where(wanted).order_by(LEASES.c.pipeline, LEASES.c.activity))
            return tuple(Lease(**item) for item in found.mappings())

    def claim_batches(self, pipeline: str, kind: BatchKind, arrivals: Sequence[Arrival]) -> tuple[Batch, ...]:
        if not arrivals:
            return ()
        with writing(self._engine) as connection:
            return batches.claim(connection, pipeline, kind, arrivals)

    def finish_batches(
        self, finished: Sequence[tuple[Batch, Verdict]], *, actor: str, lease: Lease | None = None
    ) -> tuple[Batch, ...]:
        with writing(self._engine) as connection:
            rows.check(connection, lease)
            return batches.finish(connection, finished, actor=actor, key=self._key)

    def settle_batch(self, batch: Batch, verdict: Verdict, *, state: Settled, actor: str) -> Batch:
        with writing(self._engine) as connection:
            return batches.settle(connection, batch, verdict, state=state, actor=actor, key=self._key)

    def batches(
        self, pipeline: str | None = None, *, kind: BatchKind | None = None, states: Sequence[BatchState] = ()
    ) -> tuple[Batch, ...]:
        wanted = select(BATCHES).where(match(BATCHES, pipeline=pipeline, kind=kind))
        if states:
            wanted = wanted.where(BATCHES.c.state.in_(states))
        by_number = wanted.order_by(BATCHES.c.pipeline, BATCHES.c.kind, BATCHES.c.number)
        with reading(self._engine) as connection:
            return tuple(tables.to_batch(item) for item in connection.execute(by_number).mappings())
