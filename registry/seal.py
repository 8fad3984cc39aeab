"""The sealed head: the newest record's number and hash under a key, so that a cut or rewritten end is found. Pure.

The chain alone does not tell that its newest records were cut off, or that somebody changed one and computed all hashes
behind it anew. The head does: without the key nobody can seal another one. It does not tell that the whole database,
head included, was put back to an earlier state: for that, keep an exported head elsewhere (`andon verify --head`).
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from registry.chain import canonical, follow, intact
from registry.ledger import Head, Recorded
from validation.errors import RegistryError
from validation.verdict import Verdict

FORMAT = "andon-head-1"
EVERY_PIPELINE = "*"  # what a verdict about the whole ledger has in the place of the pipeline
Seal = Literal["right", "wrong", "none", "no key", "other key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched(Verdict):
    """From here on the ledger is sealed: by a person who vouches for what is there ("vouched"), or as an installation
    got its key when records were there already ("sealed"). `subject`: the number of the newest record before.
    """

    kind: ClassVar[str] = "seal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a ledger: its newest record, and its head; each None when there is none."""

    newest: Recorded | None
    head: Head | None


def key_id(key: bytes) -> str:
    """The key's name, 16 hex digits: it tells keys apart and betrays none."""
    return hmac.new(key, b"andon-key-id", hashlib.sha256).hexdigest()[:16]


def sealed(record: Recorded, key: bytes | None) -> Head:
    """The head that names `record`; without a key, one without a seal."""
    bare = Head(seq=record.seq, hash=record.hash)
    return bare if key is None else Head(seq=bare.seq, hash=bare.hash, mac=_mac(bare, key), key_id=key_id(key))


def state(head: Head, key: bytes | None) -> Seal:
    """What `key` says of the head's seal: "other key" when it was sealed with another one, "none" without a seal."""
    if not head.mac:
        return "none"
    if key is None:
        return "no key"
    if head.key_id != key_id(key):
        return "other key"
    return "right" if hmac.compare_digest(head.mac.encode(), _mac(head, key).encode()) else "wrong"


def extended(
    tail: Tail, verdicts: Sequence[Verdict], *, actor: str, key: bytes | None, now: datetime
) -> tuple[Recorded, ...]:
    """The records of `verdicts` behind the tail; RegistryError when the tail is not what its seal says.

    Where the first key comes to records without a seal, a record of its own in front tells it.
    """
    check(tail, key)
    told = _first_seal(tail, key, now)
    return _records(tail, [*told, *verdicts], actor=actor, now=now)


def vouched(tail: Tail, verdict: Verdict, *, actor: str, key: bytes | None, now: datetime) -> tuple[Recorded, ...]:
    """The one record of `verdict` behind the tail, whatever its seal says; RegistryError when that would unseal it."""
    if key is None and tail.head is not None and tail.head.mac:
        raise RegistryError(f"the ledger is sealed, and is vouched for with a key; {_GIVE_KEY}")
    return _records(tail, [verdict], actor=actor, now=now)


def check(tail: Tail, key: bytes | None) -> None:
    """RegistryError unless the newest record is the one that the head names, and its seal is of `key`."""
    newest, head = tail.newest, tail.head
    if head is None:
        return  # new, or of an Andon that had no heads
    found = f"{newest.seq} with the hash {newest.hash[:12]}" if newest else "none"
    if newest is None or (newest.seq, newest.hash) != (head.seq, head.hash):
        raise RegistryError(
            f"somebody changed the ledger: its head names record {head.seq} with the hash {head.hash[:12]} as the "
            f"newest, found is {found}; {_REMEDY}"
        )
    if not intact(newest):
        raise RegistryError(f"somebody changed the ledger: record {newest.seq} is not what was written; {_REMEDY}")
    if problem := refusal(head, key):
        raise RegistryError(problem)


def refusal(head: Head, key: bytes | None) -> str:
    """Why nobody may write behind this head with this key, with the remedy; "" when he may."""
    found = state(head, key)
    if found == "no key":
        return f"the ledger is sealed with the key {head.key_id}, and none is given; {_GIVE_KEY}"
    if found == "other key":
        return (
            f"the ledger is sealed with the key {head.key_id}, not with the one given ({key and key_id(key)}); give "
            "the right one (ANDON_LEDGER_KEY, or ledger.key in the home), or, if the key was changed on purpose, vouch "
            "for the ledger: andon verify --vouch --why ..."
        )
    if found == "wrong":
        return f"somebody changed the ledger: the seal of its head (record {head.seq}) is wrong; {_REMEDY}"
    return ""


_REMEDY = (
    "see what else is wrong: andon verify; then put back its last good copy, or, if you know why, vouch for it as it "
    "is: andon verify --vouch --why ..."
)
_GIVE_KEY = "set ANDON_LEDGER_KEY, or put ledger.key back into the home"


def _first_seal(tail: Tail, key: bytes | None, now: datetime) -> tuple[Vouched, ...]:
    """A verdict, when `key` is the first one and there are records already."""
    if key is None or tail.newest is None or (tail.head is not None and tail.head.mac):
        return ()
    seq = tail.newest.seq
    why = f"records up to {seq} were written without a key; from here on the ledger is sealed with key {key_id(key)}"
    return (Vouched(pipeline=EVERY_PIPELINE, subject=f"{seq}", outcome="sealed", reasons=(why,), data_time=now),)


def _records(tail: Tail, verdicts: Sequence[Verdict], *, actor: str, now: datetime) -> tuple[Recorded, ...]:
    newest, records = tail.newest, list[Recorded]()
    for verdict in verdicts:
        newest = follow(newest, verdict, actor=actor, now=now)
        records.append(newest)
    return tuple(records)


def _mac(head: Head, key: bytes) -> str:
    text = canonical({"format": FORMAT, "seq": head.seq, "hash": head.hash})
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
