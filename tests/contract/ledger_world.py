"""What the suites of the ledger share: a moment, a verdict, a file that has landed, a lease."""

import time
from datetime import UTC, datetime, timedelta

from registry.audit import audit
from registry.ledger import Arrival, Batch, Change, Lease, Ledger
from validation.verdict import Verdict

KEY = b"a key of the tests, known to everybody"
MONDAY = datetime(2013, 4, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BLINK = timedelta(milliseconds=1)


def note(pipeline: str = "flights", *, subject: str = "week 1", outcome: str = "fine") -> Verdict:
    return Verdict(pipeline=pipeline, subject=subject, outcome=outcome, reasons=("all is well",), data_time=MONDAY)


def arrival(name: str, sha256: str, stamp: str = "") -> Arrival:
    return Arrival(name=name, sha256=sha256, stamp=stamp)


def claimed(ledger: Ledger, name: str, sha256: str, stamp: str = "") -> Batch:
    """One file of rows of the flights, claimed alone."""
    (batch,) = ledger.claim_batches("flights", "rows", [arrival(name, sha256, stamp)])
    return batch


def lease_of(ledger: Ledger, holder: str, *, activity: str = "retrain", ttl: timedelta = MINUTE) -> Lease:
    lease = ledger.acquire("flights", activity, holder=holder, ttl=ttl)
    assert lease is not None
    return lease


def overtaken(ledger: Ledger, *, activity: str = "retrain") -> tuple[Lease, Lease]:
    """The lease of a holder that slept too long, and the one of the holder that came after."""
    stale = lease_of(ledger, "sleeper", activity=activity, ttl=BLINK)
    time.sleep(0.02)
    return stale, lease_of(ledger, "successor", activity=activity)


def filled(ledger: Ledger, records: int = 4) -> Ledger:
    for number in range(records):
        ledger.record(note(subject=f"week {number}"), actor="monitor")
    return ledger


def change(version: str, *, kind: str = "promotion", evidence: int | None = None) -> Change:
    return Change(
        pipeline="flights",
        kind=kind,  # type: ignore[arg-type]
        version=version,
        bundle_sha256="ab" * 32,
        trained_until=MONDAY,
        why="a gain of 2 %",
        data_time=MONDAY,
        actor="gate",
        evidence=evidence,
    )


def told(ledger: Ledger, key: bytes | None = KEY) -> list[str]:
    return [f"{fault.seq}: {fault.what}" for fault in audit(ledger, key=key).faults]
