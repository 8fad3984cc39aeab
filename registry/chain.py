"""The hash chain over the verdicts: each record carries the hash of the one before it. Pure; knows no database.

A changed, missing or reordered record is found. That the newest ones were cut off is not: seal.py seals their number.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import msgspec

from registry.ledger import Recorded
from validation.errors import RegistryError
from validation.verdict import Verdict

GENESIS = "0" * 64


def draft(verdict: Verdict, *, actor: str, seq: int, prev_hash: str, recorded_at: datetime) -> Recorded:
    """The record of `verdict` that follows the one with `prev_hash`; equal in every adapter, to the last byte."""
    body: dict[str, Any] = json.loads(canonical(verdict))
    content = {
        "seq": seq,
        "kind": verdict.kind,
        "pipeline": body["pipeline"],
        "subject": body["subject"],
        "outcome": body["outcome"],
        "reasons": tuple(body["reasons"]),
        "body": body,
        "data_time": utc(verdict.data_time, field="data_time"),
        "actor": clean(actor),
        "recorded_at": utc(recorded_at, field="recorded_at"),
        "prev_hash": prev_hash,
    }
    return Recorded(**content, hash=_digest(content))


def follow(head: Recorded | None, verdict: Verdict, *, actor: str, now: datetime) -> Recorded:
    """The record of `verdict` after `head`, the newest so far (None: the first of all)."""
    seq, prev_hash = (head.seq + 1, head.hash) if head else (1, GENESIS)
    return draft(verdict, actor=actor, seq=seq, prev_hash=prev_hash, recorded_at=now)


def verify(recorded: Iterable[Recorded]) -> int | None:
    """The `seq` of the first record that does not follow from the one before it; None when the chain is whole.

    `recorded` are all records of all pipelines, in order, from the first one.
    """
    before: Recorded | None = None
    for record in recorded:
        if not follows(record, before) or not intact(record):
            return record.seq
        before = record
    return None


def follows(record: Recorded, before: Recorded | None) -> bool:
    """Whether the record names the one before it (None: it is the first) by number and hash."""
    seq, prev_hash = (before.seq + 1, before.hash) if before else (1, GENESIS)
    return (record.seq, record.prev_hash) == (seq, prev_hash)


def intact(record: Recorded) -> bool:
    """Whether the record's hash is that of its content."""
    content = {item.name: getattr(record, item.name) for item in fields(record) if item.name != "hash"}
    return record.hash == _digest(content)


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII; NaN and infinities become null.

    Dataclasses become objects, moments ISO 8601, NumPy scalars numbers.
    """
    plain = _finite(msgspec.to_builtins(value, str_keys=True, order="deterministic", enc_hook=_plain))
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def clean(text: str) -> str:
    """`text` as every database can hold it: NUL and lone surrogates (odd file names) become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")


def utc(moment: datetime, *, field: str) -> datetime:
    """The same moment in UTC; RegistryError when it has no time zone."""
    if moment.tzinfo is None:
        raise RegistryError(f"{field} must have a time zone, got {moment.isoformat()}; write datetime(..., tzinfo=UTC)")
    return moment.astimezone(UTC)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays, without importing it
        return value.tolist()
    raise RegistryError(f"a verdict holds JSON values only, got {type(value).__name__}; convert it in the rule")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
