"""Somebody who can write the ledger's database, but has no key: what he does to each kind of ledger."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from registry import tables
from registry.chain import draft
from registry.ledger import Head, Ledger, Recorded
from registry.memory import MemoryLedger
from registry.sql import SqlLedger
from registry.tables import ANSWERS, CHAMPIONS, HEAD, VERDICTS
from tests.contract.ledger_world import note


def opened_with(ledger: Ledger, key: bytes | None) -> Ledger:
    """The same ledger, for a writer with another key, or none."""
    if isinstance(ledger, SqlLedger):
        return SqlLedger(ledger._engine, key=key)
    assert isinstance(ledger, MemoryLedger)
    other = MemoryLedger(key=key)
    for name in ("_champions", "_intents", "_leases", "_batches"):
        setattr(other, name, getattr(ledger, name))
    for name in ("all", "head", "answers"):
        setattr(other._records, name, getattr(ledger._records, name))
    return other


def put(ledger: Ledger, records: list[Recorded]) -> None:
    """All verdicts are these now."""
    if isinstance(ledger, MemoryLedger):
        ledger._records.all = list(records)
        return
    _run(ledger, lambda connection: connection.execute(delete(VERDICTS)))
    if records:
        _run(ledger, lambda it: it.execute(insert(VERDICTS), [tables.verdict_row(record) for record in records]))


def put_head(ledger: Ledger, head: Head | None) -> None:
    """The head says this now."""
    if isinstance(ledger, MemoryLedger):
        ledger._records.head = head
        return
    _run(ledger, lambda connection: connection.execute(delete(HEAD)))
    if head:
        _run(ledger, lambda connection: connection.execute(insert(HEAD).values(tables.head_row(head))))


def edit_champion(ledger: Ledger, epoch: int, **changes: Any) -> None:
    """A row of the flights' champions says something else; without changes it is gone."""
    if isinstance(ledger, MemoryLedger):
        rows = ledger._champions["flights"]
        row = rows[epoch - 1]
        fields = {name: changes.pop(name) for name in ("from_version", "recorded_at") if name in changes}
        rows[epoch - 1 : epoch] = [replace(row, **fields, change=replace(row.change, **changes))] * bool(
            fields or changes
        )
        return
    mine = CHAMPIONS.c.epoch == epoch
    statement = update(CHAMPIONS).where(mine).values(**changes) if changes else delete(CHAMPIONS).where(mine)
    _run(ledger, lambda connection: connection.execute(statement))


def forget_answer(ledger: Ledger, question: int) -> None:
    """The question has no answer any more."""
    if isinstance(ledger, MemoryLedger):
        del ledger._records.answers[question]
        return
    _run(ledger, lambda connection: connection.execute(delete(ANSWERS).where(ANSWERS.c.question == question)))


def computed_anew(records: tuple[Recorded, ...], seq: int) -> list[Recorded]:
    """Record `seq` says something else, and all hashes from it on are right again."""
    kept = list(records[: seq - 1])
    for record in records[seq - 1 :]:
        outcome = "rewritten" if record.seq == seq else record.outcome
        verdict = note(record.pipeline, subject=record.subject, outcome=outcome)
        prev_hash = kept[-1].hash if kept else record.prev_hash
        kept.append(
            draft(verdict, actor=record.actor, seq=record.seq, prev_hash=prev_hash, recorded_at=record.recorded_at)
        )
    return kept


def _run(ledger: Ledger, act: Callable[[Connection], object]) -> None:
    assert isinstance(ledger, SqlLedger)
    with ledger._engine.begin() as connection:
        for table, what in product((VERDICTS.name, CHAMPIONS.name), ("update", "delete")):
            of_table = f" ON {table}" if connection.dialect.name == "postgresql" else ""
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_no_{what}{of_table}")
        act(connection)
