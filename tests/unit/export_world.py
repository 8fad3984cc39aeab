"""Ledgers to be exported, and what somebody without the key makes of an export."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from registry import export, seal
from registry.chain import draft
from registry.export import exported
from registry.ledger import Head, Recorded
from registry.memory import MemoryLedger
from validation.verdict import Verdict

KEY = b"the key of this installation"
NOW = datetime(2013, 4, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Verdict):
    kind: ClassVar[str] = "measured"

    loss: float
    parts: tuple[float, ...]
    until: datetime


def ledger_of(count: int, key: bytes | None = KEY) -> MemoryLedger:
    clock: Iterator[datetime] = (NOW + timedelta(seconds=1.5 * number) for number in range(10**9))
    ledger, draws = MemoryLedger(lambda: next(clock), key=key), random.Random(1)
    for number in range(count):
        verdict = Measured(
            pipeline=("flights", "bikes")[number % 2],
            subject=f"week {number}",
            outcome="fine" if draws.random() < 0.9 else "dérive",
            reasons=(f'the loss is {draws.random():.4f}, which is "as always" \\ ✓',),
            data_time=NOW + timedelta(days=number),
            loss=draws.random(),
            parts=tuple(draws.gauss(0, 1e-5) for _ in range(3)),
            until=NOW,
        )
        ledger.record(verdict, actor="monitor@host:1")
    return ledger


def file_of(ledger: MemoryLedger) -> bytes:
    return "".join(exported(ledger, at=NOW)).encode()


def recomputed(records: Sequence[Recorded], seq: int) -> list[Recorded]:
    kept = list(records[: seq - 1])
    for record in records[seq - 1 :]:
        outcome = "rewritten" if record.seq == seq else record.outcome
        verdict = Verdict(
            pipeline=record.pipeline,
            subject=record.subject,
            outcome=outcome,
            reasons=record.reasons,
            data_time=record.data_time,
        )
        prev_hash = kept[-1].hash if kept else record.prev_hash
        kept.append(
            draft(verdict, actor=record.actor, seq=record.seq, prev_hash=prev_hash, recorded_at=record.recorded_at)
        )
    return kept


def made_whole(records: Sequence[Recorded], head: Head | None) -> bytes:
    """A file of these records and this head (None: the newest, unsealed), with all checksums right."""
    ledger = MemoryLedger()
    ledger._records.all = list(records)
    ledger._records.head = head or seal.sealed(records[-1], None)
    lines = [export._line({"format": export.FORMAT, "count": len(records), "exported_at": NOW})]
    lines += [export.line_of(record) for record in records]
    digest = hashlib.sha256("".join(lines).encode())
    return "".join([*lines, export._last(ledger._records.head, digest)]).encode()
